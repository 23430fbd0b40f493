//! What every item says of who sent it and what it belongs to: `ai.*`, the context of Application Insights. Pure, but for
//! the name of the machine.

use std::borrow::Cow;
use std::fs;

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_sdk::Resource;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::text::{cut, cut_cow, text};

pub(super) const OPERATION_ID: &str = "ai.operation.id";
pub(super) const OPERATION_PARENT: &str = "ai.operation.parentId";
pub(super) const OPERATION_NAME: &str = "ai.operation.name";
pub(super) const SYNTHETIC_SOURCE: &str = "ai.operation.syntheticSource";
pub(super) const SESSION: &str = "ai.session.id";
pub(super) const USER: &str = "ai.user.id";
pub(super) const AUTHENTICATED_USER: &str = "ai.user.authUserId";
pub(super) const USER_AGENT: &str = "ai.user.userAgent";
pub(super) const LOCATION_IP: &str = "ai.location.ip";
const ROLE: &str = "ai.cloud.role";
const ROLE_INSTANCE: &str = "ai.cloud.roleInstance";
const NODE: &str = "ai.internal.nodeName";
const SDK: &str = "ai.internal.sdkVersion";
const APPLICATION_VERSION: &str = "ai.application.ver";
const DEVICE: &str = "ai.device.id";
const DEVICE_TYPE: &str = "ai.device.type";

/// Longest values, where they are not those of names.
const LIMITS: [(&str, usize); 9] = [
    (OPERATION_ID, 128),
    (OPERATION_PARENT, 512),
    (SESSION, 64),
    (USER, 128),
    (LOCATION_IP, 46),
    (ROLE, 256),
    (ROLE_INSTANCE, 256),
    (NODE, 256),
    (SDK, 64),
];

/// Longest value of the tag.
pub(super) fn limit(tag: &str) -> usize {
    LIMITS.iter().find(|(name, _)| *name == tag).map_or(super::envelope::NAME, |(_, limit)| *limit)
}

/// Those that all items of this process have.
#[derive(Clone, Debug)]
pub(super) struct Sender(Vec<(&'static str, String)>);

/// Those of one item.
#[derive(Debug)]
pub(super) struct Tags<'a> {
    sender: &'a Sender,
    own: Vec<(&'static str, Cow<'a, str>)>,
}

impl Sender {
    pub(super) fn of(resource: &Resource) -> Self {
        let machine = machine();
        let known =
            |name: &'static str| resource.get(&Key::from_static_str(name)).map(|value| text(&value).into_owned());
        let instance = ["k8s.pod.name", "service.instance.id", "host.name"].into_iter().find_map(known);
        let instance = instance.or_else(|| machine.clone());
        let sdk = format!(
            "weir{}:otel{}",
            env!("CARGO_PKG_VERSION"),
            known("telemetry.sdk.version").as_deref().unwrap_or("unknown")
        );
        let tags = [
            (ROLE, role(&known)),
            (ROLE_INSTANCE, instance.clone()),
            (NODE, instance.clone()),
            (DEVICE, known("device.id").or(machine).or(instance)),
            (DEVICE_TYPE, Some("Other".to_owned())),
            (APPLICATION_VERSION, known("service.version")),
            (SDK, Some(sdk)),
        ];
        let given = tags.into_iter().filter_map(|(tag, value)| Some((tag, value.filter(|it| !it.is_empty())?)));
        Self(given.map(|(tag, value)| (tag, cut(&value, limit(tag)).to_owned())).collect())
    }

    /// The tags of an item that belongs to nothing.
    pub(super) fn tags(&self) -> Tags<'_> {
        Tags { sender: self, own: Vec::new() }
    }

    /// The tags of an item within a trace, below this span.
    pub(super) fn within(&self, trace: TraceId, parent: SpanId) -> Tags<'_> {
        let mut tags = self.tags();
        if trace != TraceId::INVALID {
            tags.set(OPERATION_ID, trace.to_string());
        }
        if parent != SpanId::INVALID {
            tags.set(OPERATION_PARENT, parent.to_string());
        }
        tags
    }
}

impl<'a> Tags<'a> {
    /// Sets a tag, cut to what it may be.
    pub(super) fn set(&mut self, tag: &'static str, value: impl Into<Cow<'a, str>>) {
        self.own.retain(|(name, _)| *name != tag);
        self.own.push((tag, cut_cow(value.into(), limit(tag))));
    }

    /// Sets a tag to the text of an attribute; whether the tag says all of it.
    pub(super) fn carry(&mut self, tag: &'static str, attributes: &'a [KeyValue], key: &str) -> bool {
        let Some(Value::String(value)) = attributes.iter().rev().find(|it| it.key.as_str() == key).map(|it| &it.value)
        else {
            return false;
        };
        self.set(tag, value.as_str());
        cut(value.as_str(), limit(tag)).len() == value.as_str().len()
    }
}

impl Serialize for Tags<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (tag, value) in &self.sender.0 {
            map.serialize_entry(tag, value)?;
        }
        for (tag, value) in &self.own {
            map.serialize_entry(tag, value)?;
        }
        map.end()
    }
}

/// The service by its name; one that has none bears that of what runs it in Kubernetes.
fn role(known: &dyn Fn(&'static str) -> Option<String>) -> Option<String> {
    let service = known("service.name").filter(|name| !name.is_empty());
    let named = service.as_ref().map(|name| match known("service.namespace").filter(|space| !space.is_empty()) {
        Some(space) => format!("{space}.{name}"),
        None => name.clone(),
    });
    if service.is_some_and(|name| !name.starts_with("unknown_service")) {
        return named;
    }
    let workloads = [
        "k8s.deployment.name",
        "k8s.replicaset.name",
        "k8s.statefulset.name",
        "k8s.job.name",
        "k8s.cronjob.name",
        "k8s.daemonset.name",
    ];
    workloads.into_iter().find_map(known).or(named)
}

/// Linux tells it here; elsewhere nobody is asked.
fn machine() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(attributes: &[(&'static str, &'static str)]) -> serde_json::Value {
        let attributes = attributes.iter().map(|(key, value)| KeyValue::new(*key, *value));
        let sender = Sender::of(&Resource::builder_empty().with_attributes(attributes).build());
        serde_json::to_value(sender.tags()).unwrap()
    }

    #[test]
    fn the_role_is_the_service_or_what_runs_it() {
        for (attributes, expected) in [
            (&[("service.name", "chat")][..], "chat"),
            (&[("service.name", "chat"), ("service.namespace", "shop")], "shop.chat"),
            (&[("service.name", "chat"), ("k8s.deployment.name", "d")], "chat"),
            (&[("service.name", "unknown_service:weir"), ("k8s.replicaset.name", "r")], "r"),
            (&[("service.name", "unknown_service:weir")], "unknown_service:weir"),
            (&[("k8s.job.name", "j"), ("k8s.deployment.name", "d")], "d"),
        ] {
            assert_eq!(sender(attributes)[ROLE], expected, "{attributes:?}");
        }
    }

    #[test]
    fn the_instance_is_the_pod_the_instance_or_the_machine() {
        let pod = ("k8s.pod.name", "pod-1");
        let instance = ("service.instance.id", "instance-1");
        assert_eq!(sender(&[instance, pod])[ROLE_INSTANCE], "pod-1");
        assert_eq!(sender(&[instance])[ROLE_INSTANCE], "instance-1");
        assert_eq!(sender(&[instance])[NODE], "instance-1");
        assert_eq!(sender(&[])[ROLE_INSTANCE].as_str().map(str::to_owned), machine());
        assert_eq!(sender(&[("service.version", "7")])[APPLICATION_VERSION], "7");
    }

    #[test]
    fn tags_are_cut_to_their_limits() {
        let long: &'static str = "ü".repeat(2000).leak();
        let tags = sender(&[("service.name", long), ("telemetry.sdk.version", long)]);
        assert_eq!(tags[ROLE].as_str().map(|it| it.chars().count()), Some(256));
        assert_eq!(tags[SDK].as_str().map(|it| it.chars().count()), Some(64));
        let sender = Sender(Vec::new());
        let attributes = [KeyValue::new("session.id", long), KeyValue::new("enduser.id", "u"), KeyValue::new("n", 1)];
        let mut tags = sender.tags();
        assert!(!tags.carry(SESSION, &attributes, "session.id"));
        assert!(tags.carry(AUTHENTICATED_USER, &attributes, "enduser.id"));
        assert!(!tags.carry(USER, &attributes, "n"));
        let tags = serde_json::to_value(tags).unwrap();
        assert_eq!(tags, serde_json::json!({SESSION: "ü".repeat(64), AUTHENTICATED_USER: "u"}));
    }
}

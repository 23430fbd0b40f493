//! Who is told of: the attributes of the resource that everything is told under.

use std::fs;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;

use crate::setting::{self, Reader, Setting};
use crate::telemetry::names;
use crate::telemetry::propagation::decoded;

static SERVICE_NAME: Setting = Setting::optional("OTEL_SERVICE_NAME", "`promptflow`", "who is told of");
static RESOURCE_ATTRIBUTES: Setting = Setting::optional(
    "OTEL_RESOURCE_ATTRIBUTES",
    "none",
    "more about who is told of, `NAME=VALUE,…`, percent-encoded; comes before all but `OTEL_SERVICE_NAME`",
);
static POD_NAME: Setting =
    Setting::optional("POD_NAME", "none", "`k8s.pod.name`, as Kubernetes' downward API gives it: `metadata.name`");
static POD_NAMESPACE: Setting =
    Setting::optional("POD_NAMESPACE", "none", "`k8s.namespace.name`, likewise: `metadata.namespace`");
static POD_UID: Setting = Setting::optional("POD_UID", "none", "`k8s.pod.uid`, likewise: `metadata.uid`");
static NODE_NAME: Setting = Setting::optional("NODE_NAME", "none", "`k8s.node.name`, likewise: `spec.nodeName`");

/// What is known of who is told of, but for what the SDK says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes(Vec<(String, String)>);

impl Default for Attributes {
    fn default() -> Self {
        Self(vec![("service.name".to_owned(), names::SERVICE.to_owned())])
    }
}

impl Attributes {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let name = reader.optional(&SERVICE_NAME, setting::text);
        let given = reader.optional(&RESOURCE_ATTRIBUTES, pairs).unwrap_or_default();
        let mut attributes = Self::default();
        attributes.set("service.instance.id", uuid::Uuid::new_v4().to_string());
        // Of a container, the name of its pod.
        if let Ok(host) = fs::read_to_string("/proc/sys/kernel/hostname") {
            attributes.set("host.name", host.trim().to_owned());
        }
        for (key, setting) in [
            ("k8s.pod.name", &POD_NAME),
            ("k8s.namespace.name", &POD_NAMESPACE),
            ("k8s.pod.uid", &POD_UID),
            ("k8s.node.name", &NODE_NAME),
        ] {
            if let Some(value) = reader.optional(setting, setting::text) {
                attributes.set(key, value);
            }
        }
        for (key, value) in given {
            attributes.set(&key, value);
        }
        if let Some(name) = name {
            attributes.set("service.name", name);
        }
        attributes
    }

    fn set(&mut self, key: &str, value: String) {
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, known)) => *known = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// The value of one of them.
    #[cfg(test)]
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    pub(crate) fn resource(&self) -> Resource {
        // Not the SDK's own way, which reads the environment past the settings.
        let builder = Resource::builder_empty().with_detector(Box::new(TelemetryResourceDetector));
        builder.with_attributes(self.0.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()))).build()
    }
}

/// `NAME=VALUE,NAME=VALUE`, with what is special percent-encoded.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => Ok((decoded(key.trim()), decoded(value.trim()))),
            _ => Err(format!("{pair:?} is no attribute; write NAME=VALUE, separated by commas")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(env: &[(&str, &str)]) -> Result<Attributes, Vec<String>> {
        setting::read_from(env, Attributes::read)
    }

    #[test]
    fn the_service_is_promptflow_unless_the_environment_says_otherwise() {
        for (env, expected) in [
            (&[][..], "promptflow"),
            (&[(RESOURCE_ATTRIBUTES.variable, "a=b, service.name = chat")][..], "chat"),
            (&[(RESOURCE_ATTRIBUTES.variable, "service.name=chat"), (SERVICE_NAME.variable, "mine")][..], "mine"),
        ] {
            assert_eq!(read(env).unwrap().get("service.name"), Some(expected), "{env:?}");
        }
    }

    #[test]
    fn an_instance_is_told_from_others() {
        let (one, other) = (read(&[]).unwrap(), read(&[]).unwrap());
        let id = |attributes: &Attributes| attributes.get("service.instance.id").map(str::to_owned);
        assert!(id(&one).is_some_and(|id| id.len() == 36) && id(&one) != id(&other));
        assert!(one.get("host.name").is_some_and(|name| !name.is_empty()));
        let given = [(RESOURCE_ATTRIBUTES.variable, "service.instance.id=7,host.name=h")];
        let given = read(&given).unwrap();
        assert_eq!((given.get("service.instance.id"), given.get("host.name")), (Some("7"), Some("h")));
    }

    #[test]
    fn a_pod_knows_where_it_runs() {
        let env = [("POD_NAME", "weir-1"), ("POD_NAMESPACE", "prod"), ("POD_UID", "u"), ("NODE_NAME", "n")];
        let attributes = read(&env).unwrap();
        let told = ["k8s.pod.name", "k8s.namespace.name", "k8s.pod.uid", "k8s.node.name"].map(|it| attributes.get(it));
        assert_eq!(told, [Some("weir-1"), Some("prod"), Some("u"), Some("n")]);
        assert_eq!(read(&[]).unwrap().get("k8s.pod.name"), None);
    }

    #[test]
    fn attributes_are_percent_decoded_and_a_broken_one_is_a_problem() {
        let attributes =
            read(&[(RESOURCE_ATTRIBUTES.variable, "team=a%2Cb,, deployment.environment.name=x=y")]).unwrap();
        assert_eq!(attributes.get("team"), Some("a,b"));
        assert_eq!(attributes.get("deployment.environment.name"), Some("x=y"));
        let problem = "OTEL_RESOURCE_ATTRIBUTES: \"b\" is no attribute; write NAME=VALUE, separated by commas";
        assert_eq!(read(&[(RESOURCE_ATTRIBUTES.variable, "a=1,b")]), Err(vec![problem.to_owned()]));
    }

    #[test]
    fn the_resource_says_which_sdk_it_is_of() {
        let resource = Attributes::default().resource();
        let mut keys: Vec<_> = resource.iter().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["service.name", "telemetry.sdk.language", "telemetry.sdk.name", "telemetry.sdk.version"]);
    }
}

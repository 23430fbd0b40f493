//! An endpoint file: which deployments get how much of the traffic.

use indexmap::IndexMap;

use crate::flow::fields::Fields;
use crate::flow::problem::Findings;
use crate::flow::yaml::{Node, Value};
use crate::secret::Secret;

/// An online endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub name: String,
    /// Percent of the requests that name no deployment, by deployment, in the order of the file.
    pub traffic: IndexMap<String, u32>,
    /// The Application Insights resource that is linked to it: the connection string among its `properties`.
    pub linked: Option<Secret>,
}

/// The property with the connection string. Properties are free, so Azure ML takes the file as it is.
pub const LINKED: &str = "app_insights_connection_string";

/// Keys that are the platform's.
const PLATFORM: [&str; 8] =
    ["$schema", "type", "description", "tags", "identity", "location", "compute", "public_network_access"];

impl Endpoint {
    pub(super) fn read(root: &Node, findings: &mut Findings) -> Option<Self> {
        let mut fields = Fields::of("the endpoint", root, findings)?;
        let name = super::name(&mut fields, "endpoint", root, findings);
        let traffic = traffic(&mut fields, findings);
        let linked = linked(&mut fields, findings);
        if let Some(mode) = fields.text("auth_mode", findings)
            && mode.value != "key"
        {
            let message = format!("`auth_mode: {}` has no effect here: requests are let in by keys", mode.value);
            findings.warning("NoEffect", &mode.span, message).help("see WEIR_PRIMARY_KEY");
        }
        if let Some(entry) = fields.entry("mirror_traffic") {
            findings.warning("NoEffect", &entry.key_span, "`mirror_traffic` has no effect here: nothing is mirrored");
        }
        fields.ignore(&PLATFORM);
        fields.finish(findings);
        Some(Self { name: name?, traffic, linked })
    }
}

/// Of the properties, all others are the platform's.
fn linked(fields: &mut Fields<'_>, findings: &mut Findings) -> Option<Secret> {
    let node = fields.section("properties")?;
    let Value::Map(entries) = &node.value else { return None };
    let entry = entries.iter().find(|entry| entry.key == LINKED)?;
    match &entry.value.value {
        Value::Text(text) => Some(Secret::new(text.as_str())),
        Value::Null => None,
        _ => {
            let message = format!("`{LINKED}` must be a text, not {}", entry.value.kind());
            findings.problem("InvalidDeployment", &entry.value.span, message);
            None
        }
    }
}

fn traffic(fields: &mut Fields<'_>, findings: &mut Findings) -> IndexMap<String, u32> {
    let mut traffic = IndexMap::new();
    let entries = fields.named("traffic", findings);
    for entry in &entries {
        let percent = match &entry.value.value {
            Value::Number(number) => number.to_string().parse::<u32>().ok().filter(|percent| *percent <= 100),
            _ => None,
        };
        match percent {
            Some(percent) => drop(traffic.insert(entry.key.clone(), percent)),
            None => {
                let message = format!("traffic of {:?} must be a whole number from 0 to 100", entry.key);
                findings.problem("InvalidTraffic", &entry.value.span, message);
            }
        }
    }
    let sum: u32 = traffic.values().sum();
    if traffic.len() == entries.len()
        && !matches!(sum, 0 | 100)
        && let Some(first) = entries.first()
    {
        let problem = findings.problem("InvalidTraffic", &first.key_span, format!("traffic adds up to {sum} percent"));
        problem.help("make it 100, or 0 for none but that of clients who name a deployment");
    }
    traffic
}

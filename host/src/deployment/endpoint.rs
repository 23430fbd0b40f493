//! An endpoint file: which deployments get how much of the traffic.

use indexmap::IndexMap;

use crate::flow::fields::Fields;
use crate::flow::problem::Findings;
use crate::flow::yaml::{Node, Value};

/// An online endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub name: String,
    /// Percent of the requests that name no deployment, by deployment, in the order of the file.
    pub traffic: IndexMap<String, u32>,
}

/// Keys that are the platform's.
const PLATFORM: [&str; 9] = [
    "$schema",
    "type",
    "description",
    "tags",
    "properties",
    "identity",
    "location",
    "compute",
    "public_network_access",
];

impl Endpoint {
    pub(super) fn read(root: &Node, findings: &mut Findings) -> Option<Self> {
        let mut fields = Fields::of("the endpoint", root, findings)?;
        let name = super::name(&mut fields, "endpoint", root, findings);
        let traffic = traffic(&mut fields, findings);
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
        Some(Self { name: name?, traffic })
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

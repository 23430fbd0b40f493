//! `flow.dag.yaml` and `flow.flex.yaml` as written: which keys there are and what shape their values have. Not whether
//! names exist and files are there: see check.rs.

use super::fields::{At, Fields, json};
use super::problem::{Findings, Span, listed};
use super::value::Json;
use super::yaml::{Entry, Node as Yaml, Value};

/// Longest name of a node, in bytes: it is part of messages, spans and metrics.
const MAX_NAME: usize = 256;

/// The file. Every part knows its place; what is absent is `None` or empty.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    pub(super) name: Option<At<String>>,
    pub(super) display_name: Option<At<String>>,
    pub(super) description: Option<At<String>>,
    pub(super) language: Option<At<String>>,
    pub(super) message_format: Option<At<String>>,
    /// Ours: how much content traces show.
    pub(super) trace_content: Option<At<String>>,
    /// Ours: what a request may spend on models.
    pub(super) budget: Budget,
    pub(super) inputs: Vec<Input>,
    pub(super) outputs: Vec<Output>,
    pub(super) nodes: Vec<Node>,
    pub(super) environment_variables: Vec<(String, At<Json>)>,
    pub(super) additional_includes: Option<At<Vec<String>>>,
    /// What only flex flows have.
    pub(super) flex: Option<Flex>,
}

/// What a file with an `entry` says beside the rest.
#[derive(Debug)]
pub(super) struct Flex {
    pub(super) entry: At<String>,
    pub(super) init: Vec<Init>,
    /// `sample.inputs` and `sample.init`.
    pub(super) sample_inputs: Option<At<Json>>,
    pub(super) sample_init: Option<At<Json>>,
    pub(super) grants: Vec<(At<String>, At<Json>)>,
    /// As written, by key.
    pub(super) limits: Vec<(At<String>, At<String>)>,
    pub(super) reuse: Option<Vec<(At<String>, At<String>)>>,
}

/// A value that the entry is initialised with.
#[derive(Debug)]
pub(super) struct Init {
    pub(super) name: At<String>,
    pub(super) kind: Option<At<String>>,
    pub(super) default: Option<At<Json>>,
}

#[derive(Debug)]
pub(super) struct Input {
    pub(super) name: At<String>,
    pub(super) kind: Option<At<String>>,
    pub(super) default: Option<At<Json>>,
    pub(super) description: Option<At<String>>,
    pub(super) is_chat_input: bool,
    pub(super) is_chat_history: Option<bool>,
}

#[derive(Debug)]
pub(super) struct Output {
    pub(super) name: At<String>,
    pub(super) kind: Option<At<String>>,
    pub(super) reference: Option<At<Json>>,
    pub(super) description: Option<At<String>>,
    pub(super) evaluation_only: bool,
    pub(super) is_chat_output: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) name: At<String>,
    pub(super) kind: Option<At<String>>,
    pub(super) source: Option<Source>,
    pub(super) inputs: Vec<(At<String>, At<Json>)>,
    pub(super) connection: Option<At<String>>,
    pub(super) api: Option<At<String>>,
    pub(super) activate: Option<Activate>,
    pub(super) aggregation: bool,
    /// What the flow asks of each capability, by the capability's name.
    pub(super) grants: Vec<(At<String>, At<Json>)>,
    /// As written, by key.
    pub(super) limits: Vec<(At<String>, At<String>)>,
    /// What bounds the reuse of its instances, as written, by key; none: each run has a fresh one.
    pub(super) reuse: Option<Vec<(At<String>, At<String>)>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Budget {
    pub(super) calls: Option<At<String>>,
    pub(super) tokens: Option<At<String>>,
}

#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) kind: Option<At<String>>,
    pub(super) path: Option<At<String>>,
    pub(super) tool: Option<At<String>>,
    /// `ref`: an artifact in a registry.
    pub(super) reference: Option<At<String>>,
    pub(super) span: Span,
}

#[derive(Clone, Debug)]
pub(super) struct Activate {
    pub(super) when: At<Json>,
    pub(super) is: At<Json>,
}

impl Manifest {
    /// Reads what can be read; the rest is found. None if the text is not even a mapping.
    pub(super) fn parse(text: &str, findings: &mut Findings) -> Option<Self> {
        let root = Yaml::parse(text, findings)?;
        let mut fields = Fields::of("the flow", &root, findings)?;
        // What an editor, the cloud or another runtime reads; `tools` holds tool definitions of prompt flow's first files.
        fields.ignore(&["$schema", "id", "type", "tags", "environment", "tools"]);
        let variants = fields.named("node_variants", findings);
        let manifest = Self {
            name: fields.text("name", findings),
            display_name: fields.text("display_name", findings),
            description: fields.text("description", findings),
            language: fields.text("language", findings),
            message_format: fields.text("message_format", findings),
            trace_content: fields.text("trace_content", findings),
            budget: Budget::read("the flow", &mut fields, findings),
            inputs: each(fields.named("inputs", findings), findings, Input::read),
            outputs: each(fields.named("outputs", findings), findings, Output::read),
            nodes: nodes(fields.take("nodes"), &variants, findings),
            environment_variables: fields
                .named("environment_variables", findings)
                .into_iter()
                .map(|entry| (entry.key.clone(), json("environment_variables", &entry.value, findings)))
                .collect(),
            additional_includes: fields.texts("additional_includes", findings),
            flex: Flex::read(&mut fields, findings),
        };
        fields.finish(findings);
        Some(manifest)
    }
}

fn each<T>(entries: Vec<&Entry>, findings: &mut Findings, read: impl Fn(&Entry, &mut Findings) -> Option<T>) -> Vec<T> {
    entries.into_iter().filter_map(|entry| read(entry, findings)).collect()
}

fn name_of(entry: &Entry) -> At<String> {
    At { value: entry.key.clone(), span: entry.key_span.clone() }
}

fn pairs(entries: Vec<&Entry>, owner: &str, findings: &mut Findings) -> Vec<(At<String>, At<Json>)> {
    let pair = |entry: &Entry| (name_of(entry), json(&format!("{owner}: `{}`", entry.key), &entry.value, findings));
    entries.into_iter().map(pair).collect()
}

impl Flex {
    /// None: the flow has no `entry`, so it is none.
    fn read(fields: &mut Fields<'_>, findings: &mut Findings) -> Option<Self> {
        let entry = fields.text("entry", findings)?;
        fields.ignore(&["code"]);
        let sample = fields.section("sample").and_then(|node| Fields::of("sample", node, findings));
        let (sample_inputs, sample_init) = sample.map_or((None, None), |mut sample| {
            let inputs = sample.section("inputs").map(|node| json("sample.inputs", node, findings));
            let init = sample.section("init").map(|node| json("sample.init", node, findings));
            sample.finish(findings);
            (inputs, init)
        });
        Some(Self {
            entry,
            init: each(fields.named("init", findings), findings, Init::read),
            sample_inputs,
            sample_init,
            grants: pairs(fields.named("grants", findings), "grants", findings),
            limits: fields.named_texts("limits", findings),
            reuse: reuse("the flow", fields, findings),
        })
    }
}

/// `instances` of a mapping: `fresh`, `reuse`, or `{reuse: {…}}` with bounds.
fn reuse(owner: &str, fields: &mut Fields<'_>, findings: &mut Findings) -> Option<Vec<(At<String>, At<String>)>> {
    let node = fields.section("instances")?;
    let told = match &node.value {
        Value::Text(word) if word == "fresh" => return None,
        Value::Text(word) if word == "reuse" => return Some(Vec::new()),
        Value::Map(entries) if entries.iter().any(|entry| entry.key == "reuse") => {
            let mut fields = Fields::of(format!("{owner}: instances"), node, findings)?;
            let bounds = fields.named_texts("reuse", findings);
            fields.finish(findings);
            return Some(bounds);
        }
        Value::Text(word) => format!("unknown word {word:?}"),
        _ => format!("found {}", node.kind()),
    };
    let message =
        format!("{owner}: instances: {told}; write `fresh`, `reuse` or `{{reuse: {{uses: 1000, age: 10m}}}}`");
    findings.problem("InvalidInstances", &node.span, message);
    None
}

impl Init {
    fn read(entry: &Entry, findings: &mut Findings) -> Option<Self> {
        let mut fields = Fields::of(format!("init {:?}", entry.key), &entry.value, findings)?;
        fields.ignore(&["description"]);
        let init = Self {
            name: name_of(entry),
            kind: fields.text("type", findings),
            default: fields.take("default").map(|node| json(fields.owner(), node, findings)),
        };
        fields.finish(findings);
        Some(init)
    }
}

impl Budget {
    /// The `budget` of a mapping.
    pub(super) fn read(owner: &str, fields: &mut Fields<'_>, findings: &mut Findings) -> Self {
        let budget = fields.section("budget").and_then(|node| Fields::of(format!("{owner}: budget"), node, findings));
        let Some(mut budget) = budget else { return Self::default() };
        let read = Self { calls: budget.text("calls", findings), tokens: budget.text("tokens", findings) };
        budget.finish(findings);
        read
    }
}

impl Input {
    pub(super) fn read(entry: &Entry, findings: &mut Findings) -> Option<Self> {
        let mut fields = Fields::of(format!("input {:?}", entry.key), &entry.value, findings)?;
        // Choices for a form; prompt flow takes any value either.
        fields.ignore(&["enum"]);
        let input = Self {
            name: name_of(entry),
            kind: fields.text("type", findings),
            default: fields.take("default").map(|node| json(fields.owner(), node, findings)),
            description: fields.text("description", findings),
            is_chat_input: fields.flag("is_chat_input", findings).unwrap_or(false),
            is_chat_history: fields.flag("is_chat_history", findings),
        };
        fields.finish(findings);
        Some(input)
    }
}

impl Output {
    fn read(entry: &Entry, findings: &mut Findings) -> Option<Self> {
        let mut fields = Fields::of(format!("output {:?}", entry.key), &entry.value, findings)?;
        let output = Self {
            name: name_of(entry),
            kind: fields.text("type", findings),
            reference: fields.take("reference").map(|node| json(fields.owner(), node, findings)),
            description: fields.text("description", findings),
            evaluation_only: fields.flag("evaluation_only", findings).unwrap_or(false),
            is_chat_output: fields.flag("is_chat_output", findings).unwrap_or(false),
        };
        fields.finish(findings);
        Some(output)
    }
}

fn nodes(list: Option<&Yaml>, variants: &[&Entry], findings: &mut Findings) -> Vec<Node> {
    match list.map(|node| (&node.value, &node.span)) {
        None | Some((Value::Null, _)) => Vec::new(),
        Some((Value::List(items), _)) => items.iter().filter_map(|item| Node::read(item, variants, findings)).collect(),
        Some((_, span)) => {
            findings.problem("InvalidFlow", span, "`nodes` must be a list, each item beginning with `- name: …`");
            Vec::new()
        }
    }
}

impl Node {
    fn read(yaml: &Yaml, variants: &[&Entry], findings: &mut Findings) -> Option<Self> {
        let mut fields = Fields::of("a node", yaml, findings)?;
        let Some(name) = fields.text("name", findings).filter(|name| !name.value.is_empty()) else {
            findings.problem("InvalidFlow", &yaml.span, "a node has no name; add `name: …`");
            return None;
        };
        let name = short_name("a node", name, findings)?;
        let wants_variant = fields.flag("use_variants", findings).unwrap_or(false);
        match variants.iter().find(|entry| wants_variant && entry.key == name.value) {
            Some(entry) => {
                let variant = default_variant(entry, findings)?;
                warn_of_lost_keys(&name.value, &mut fields, findings);
                let fields = Fields::of(format!("node {:?}", name.value), variant, findings)?;
                Some(Self::body(name, fields, findings))
            }
            // Without an entry in `node_variants` a node is what it says itself.
            None => {
                let fields = fields.owned_by(format!("node {:?}", name.value));
                Some(Self::body(name, fields, findings))
            }
        }
    }

    fn body(name: At<String>, mut fields: Fields<'_>, findings: &mut Findings) -> Self {
        // `provider` and `module` follow from the connection; `enable_cache` never did anything.
        fields.ignore(&["name", "use_variants", "provider", "module", "enable_cache", "comment", "tool"]);
        let owner = fields.owner().to_owned();
        let node = Self {
            kind: fields.text("type", findings),
            source: fields.section("source").and_then(|node| Source::read(&owner, node, findings)),
            inputs: pairs(fields.named("inputs", findings), &owner, findings),
            connection: fields.text("connection", findings),
            api: fields.text("api", findings),
            activate: fields.section("activate").and_then(|node| Activate::read(&owner, node, findings)),
            aggregation: fields.flag("aggregation", findings).or(fields.flag("reduce", findings)).unwrap_or(false),
            grants: pairs(fields.named("grants", findings), &format!("{owner}: grants"), findings),
            limits: fields.named_texts("limits", findings),
            reuse: reuse(&owner, &mut fields, findings),
            name,
        };
        fields.finish(findings);
        node
    }
}

/// None if it is too long to be one, which is then found.
pub(super) fn short_name(owner: &str, name: At<String>, findings: &mut Findings) -> Option<At<String>> {
    let length = name.value.len();
    if length > MAX_NAME {
        let message = format!("the name of {owner} has {length} bytes; at most {MAX_NAME} are served");
        findings.problem("InvalidFlow", &name.span, message);
        return None;
    }
    Some(name)
}

fn warn_of_lost_keys(name: &str, fields: &mut Fields<'_>, findings: &mut Findings) {
    for key in ["activate", "aggregation", "reduce"] {
        if let Some(entry) = fields.entry(key) {
            let message =
                format!("node {name:?}: `{key}` has no effect here, because the node uses its default variant");
            findings.warning("LostKey", &entry.key_span, message).help("move it into the `node` of the variant");
        }
    }
}

/// Serving always takes the default variant, whole: what the node itself says beside its name counts for nothing.
fn default_variant<'a>(entry: &'a Entry, findings: &mut Findings) -> Option<&'a Yaml> {
    let owner = format!("node_variants: {:?}", entry.key);
    let mut fields = Fields::of(owner.clone(), &entry.value, findings)?;
    let chosen = fields.text("default_variant_id", findings);
    let variants = fields.named("variants", findings);
    fields.finish(findings);
    let Some(chosen) = chosen else {
        findings.problem("InvalidVariant", &entry.key_span, format!("{owner}: `default_variant_id` is missing"));
        return None;
    };
    let Some(variant) = variants.iter().find(|variant| variant.key == chosen.value) else {
        let known = listed(variants.iter().map(|variant| variant.key.as_str()));
        let message = format!("{owner}: no variant {:?}; variants are: {known}", chosen.value);
        findings.problem("InvalidVariant", &chosen.span, message);
        return None;
    };
    let mut fields = Fields::of(format!("{owner}: variant {:?}", variant.key), &variant.value, findings)?;
    fields.ignore(&["description"]);
    let node = fields.take("node");
    fields.finish(findings);
    if node.is_none() {
        let message = format!("{owner}: variant {:?} has no `node`", variant.key);
        findings.problem("InvalidVariant", &variant.key_span, message);
    }
    node
}

impl Source {
    fn read(owner: &str, yaml: &Yaml, findings: &mut Findings) -> Option<Self> {
        let mut fields = Fields::of(format!("{owner}: source"), yaml, findings)?;
        let source = Self {
            kind: fields.text("type", findings),
            path: fields.text("path", findings),
            tool: fields.text("tool", findings),
            reference: fields.text("ref", findings),
            span: yaml.span.clone(),
        };
        fields.finish(findings);
        Some(source)
    }
}

impl Activate {
    fn read(owner: &str, yaml: &Yaml, findings: &mut Findings) -> Option<Self> {
        let mut fields = Fields::of(format!("{owner}: activate"), yaml, findings)?;
        let when = fields.take("when").map(|node| json(fields.owner(), node, findings));
        let is = fields.take("is").map(|node| json(fields.owner(), node, findings));
        fields.finish(findings);
        let (Some(when), Some(is)) = (when, is) else {
            let message = format!("{owner}: activate needs both `when` and `is`");
            findings.problem("FlowDefinitionError", &yaml.span, message);
            return None;
        };
        Some(Self { when, is })
    }
}

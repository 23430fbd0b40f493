//! What a file with an `entry` means: one node that a request runs, and others that it may call.

use indexmap::IndexMap;

use super::super::draft::Written;
use super::super::fields::At;
use super::super::init::{Init, InitInput, InitKind};
use super::super::manifest::{self, Flex, Manifest, Source};
use super::super::problem::listed;
use super::super::reference::{Path, Reference};
use super::super::types::Type;
use super::super::value::Json;
use super::super::{Binding, NodeIndex, Output};
use super::{Checker, is_empty};

/// Name of the one output: the frames of a stream have it.
const OUTPUT: &str = "output";

/// The manifest with its entry as the first of its nodes.
pub(super) fn with_entry(mut manifest: Manifest) -> Manifest {
    if let Some(flex) = &manifest.flex {
        let inputs = manifest.inputs.iter().map(|input| {
            let reference = Json::string(&Reference::Input(input.name.value.clone()).to_string());
            (input.name.clone(), At { value: reference, span: input.name.span.clone() })
        });
        let entry = entry_node(flex, inputs.collect());
        manifest.nodes.insert(0, entry);
    }
    manifest
}

fn entry_node(flex: &Flex, inputs: Vec<(At<String>, At<Json>)>) -> manifest::Node {
    let At { value: path, span } = &flex.entry;
    manifest::Node {
        name: At { value: entry_name(path).to_owned(), span: span.clone() },
        kind: Some(At { value: "wasm".to_owned(), span: span.clone() }),
        source: Some(Source {
            kind: None,
            path: Some(flex.entry.clone()),
            tool: None,
            reference: None,
            span: span.clone(),
        }),
        inputs,
        connection: None,
        api: None,
        activate: None,
        aggregation: false,
        grants: flex.grants.clone(),
        limits: flex.limits.clone(),
        reuse: flex.reuse.clone(),
    }
}

/// What a node is called that is a file: its name without folders and ending. Of Python the function or class.
fn entry_name(path: &str) -> &str {
    if let Some((_, name)) = path.split_once(':') {
        return name;
    }
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or(path);
    name.split_once('.').map_or(name, |(stem, _)| stem)
}

/// What the entry answers, whatever the file says of it: that is but told to clients.
pub(super) fn outputs(manifest: &Manifest) -> IndexMap<String, Output> {
    let kind = match manifest.outputs.as_slice() {
        [only] => only.kind.as_ref().and_then(|kind| Type::parse(&kind.value)),
        _ => None,
    };
    let output = Output {
        kind: kind.unwrap_or(Type::Object),
        source: Binding::Node { node: NodeIndex(0), path: Path::default() },
        description: None,
        evaluation_only: false,
        is_chat_output: false,
    };
    IndexMap::from([(OUTPUT.to_owned(), output)])
}

impl Checker<'_> {
    pub(super) fn init(&mut self, flex: &Flex) -> Init {
        let mut init = Init::default();
        for written in &flex.init {
            let kind = written.kind.as_ref().map_or(Some(InitKind::Anything), |kind| InitKind::parse(&kind.value));
            if let (None, Some(unknown)) = (kind, &written.kind) {
                let known = listed(Type::ALL.map(Type::name));
                let message = format!(
                    "init {:?}: unknown type {:?}; types are: {known}, a connection (such as CustomConnection), \
                     AzureOpenAIModelConfiguration, OpenAIModelConfiguration",
                    written.name.value, unknown.value
                );
                self.findings.problem("InvalidFlow", &unknown.span, message);
            }
            let default = written.default.as_ref().map(|default| &default.value);
            // As of inputs, an empty text leaves all to the entry.
            let input = if default.is_some_and(is_empty) {
                InitInput { is_optional: true, ..InitInput::default() }
            } else {
                let default = default.filter(|value| !value.is_null()).cloned();
                InitInput { kind: kind.unwrap_or_default(), default, is_optional: false }
            };
            init.declared.insert(written.name.value.clone(), input);
        }
        if let Some(sample) = &flex.sample_init {
            init.sample = self.sample("sample.init", sample);
        }
        init
    }

    /// What a request that gives nothing is taken to give.
    pub(super) fn sample_inputs(&mut self, flex: &Flex) -> Option<IndexMap<String, Json>> {
        let sample = flex.sample_inputs.as_ref()?;
        Some(self.sample("sample.inputs", sample))
    }

    /// An object, or a reference to a file that holds one: `${file:./sample.json}`.
    fn sample(&mut self, key: &str, written: &At<Json>) -> IndexMap<String, Json> {
        let file =
            written.value.as_text().and_then(|text| Some(text.strip_prefix("${file:")?.strip_suffix('}')?.to_owned()));
        let value = match &file {
            None => written.value.clone(),
            Some(path) => {
                let text = self.surroundings.text(path.trim_start_matches("./"));
                match text
                    .map_err(|error| error.to_string())
                    .and_then(|text| Json::parse(&text).map_err(|e| e.to_string()))
                {
                    Ok(value) => value,
                    Err(error) => {
                        let message = format!("{key}: {path:?}: {error}");
                        self.findings.problem("InvalidSample", &written.span, message);
                        return IndexMap::new();
                    }
                }
            }
        };
        value.members().unwrap_or_else(|| {
            let message = format!("{key} must be a mapping of values by name");
            self.findings.problem("InvalidSample", &written.span, message);
            IndexMap::new()
        })
    }

    /// Who runs a node of a flex flow is its caller, who also gives it its inputs.
    pub(super) fn flex_nodes(&mut self, written: &[Written]) {
        for Written { node, .. } in written.iter().skip(1) {
            let owner = format!("node {:?}", node.name.value);
            for (name, value) in &node.inputs {
                let text = value.value.as_text().unwrap_or_default();
                if Reference::parse(&text).is_some() {
                    let message = format!("{owner}: input {:?} is a reference, and a flex flow has none", name.value);
                    let problem = self.findings.problem("InvalidNodeReference", &value.span, message);
                    problem
                        .help("give the input where the entry calls the node; write only what is always the same here");
                }
            }
            if let Some(activate) = &node.activate {
                let message = format!("{owner}: `activate` has no effect, because the entry decides what runs");
                self.findings.warning("UnusedKey", &activate.when.span, message);
            }
            if node.aggregation {
                let message = format!("{owner}: a flex flow has no aggregation nodes");
                self.findings.problem("InvalidFlow", &node.name.span, message);
            }
        }
    }
}

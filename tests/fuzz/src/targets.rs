//! What each fuzzer does with its bytes: reads them as one kind of text that somebody else may have written. Called by the
//! fuzzers, and by tests/all/fuzz.rs for every file of the corpora. Not which bytes: see ../corpus.
//!
//! A panic is a fault of the host. Here are the texts that `weir check` or a request reads: everything that is wrong with
//! them is told in every way there is, and a telling that no person would read is a fault as well: [`told`] bounds it,
//! which bounds the work too, since all that is found is told. What callers and services say otherwise is in files of its
//! own.

// Named, since the tests have this file at another place.
#[path = "targets/caller.rs"]
mod caller;
#[path = "targets/model.rs"]
mod model;
#[path = "targets/node.rs"]
mod node;
#[path = "targets/operator.rs"]
mod operator;
#[path = "targets/telemetry.rs"]
mod telemetry;

use std::cell::Cell;
use std::fs;
use std::io::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use indexmap::IndexMap;
use miette::{GraphicalReportHandler, GraphicalTheme};
use weir::batch::results::{ResultFile, Results};
use weir::capability::connection::Connections;
use weir::deployment::Document;
use weir::flow::describe::Description;
use weir::flow::images::ImageError;
use weir::flow::inputs::Inputs;
use weir::flow::problem::{Problems, Warning};
use weir::flow::reference::Reference;
use weir::flow::value::Json;
use weir::flow::{Binding, Draft, FileError, Flow, NodeKind, Surroundings, python};

pub use caller::{accept, http_requests, trace_context};
pub use model::{model_reply, sse};
pub use node::{component, prompt_markup};
pub use operator::{config, egress_url, journal};
pub use telemetry::{answer, connection_string, feedback};

/// Most that may be told about any text, in bytes: about everything that is found, once for people and once for
/// programs.
const MAX_TOLD: usize = 4 * 1024 * 1024;

/// Longest text that is looked at: what a flow file may have.
const MAX_TEXT: usize = 1024 * 1024;

/// Most files that may be read for one flow: its templates are few, and nothing multiplies them.
const MAX_READ: usize = 32 * 1024 * 1024;

/// What a fuzzer does with the bytes that it tries.
pub type Target = fn(&[u8]);

/// All of them, by the names of their corpora.
pub const TARGETS: [(&str, Target); 22] = [
    ("flow_yaml", flow_yaml),
    ("deployment_yaml", deployment_yaml),
    ("reference", reference),
    ("template", template),
    ("prompty", prompty),
    ("connection", connection),
    ("score_body", score_body),
    ("description", description),
    ("batch_results", batch_results),
    ("http_requests", http_requests),
    ("trace_context", trace_context),
    ("accept", accept),
    ("sse", sse),
    ("model_reply", model_reply),
    ("component", component),
    ("prompt_markup", prompt_markup),
    ("config", config),
    ("egress_url", egress_url),
    ("journal", journal),
    ("answer", answer),
    ("connection_string", connection_string),
    ("feedback", feedback),
];

/// A flow file, of either kind.
pub fn flow_yaml(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let folder = Folder::of(&[]);
    let mut draft = Flow::draft("flow.dag.yaml", text, "fuzzed", &folder);
    let echo = Description::parse(ECHO);
    for index in draft.sound_nodes() {
        if let NodeKind::Component { .. } = draft.flow().node(index).kind {
            draft.described(index, &echo);
        }
    }
    draft.load_images(&|_| Err(ImageError::Missing));
    drop(draft.initialise(&IndexMap::new(), None));
    told(draft);
    folder.check();
}

/// A deployment or endpoint file of Azure ML.
pub fn deployment_yaml(data: &[u8]) {
    let Some(text) = text(data) else { return };
    bounded(Document::parse("deployment.yaml", text));
}

/// A reference: by itself, and as the input of a node.
pub fn reference(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Some(Ok(reference)) = Reference::parse(text) {
        // Not always the same one: a key may hold what ends a key.
        assert!(Reference::parse(&reference.to_string()).is_some(), "a reference is shown as one");
        if let Reference::Node { path, .. } = &reference {
            let value = r#"{"a":[{"b":{"":1}},2],"output":{"a b":"c"}}"#;
            let part = path.of(&Json::parse(value).expect("this is JSON"));
            assert!(part.is_none_or(|part| value.contains(part.as_str())), "a part of a value stands in it");
        }
    }
    let quoted = Json::string(text);
    let manifest = format!(
        "inputs: {{q: {{type: string}}}}\noutputs: {{o: {{type: string, reference: {quoted}}}}}\nnodes:\n\
         - {{name: a, type: wasm, source: {{type: code, path: echo.wasm}}, inputs: {{text: '${{inputs.q}}'}}}}\n\
         - {{name: b, type: wasm, source: {{type: code, path: echo.wasm}}, inputs: {{text: {quoted}}}, \
         activate: {{when: {quoted}, is: {quoted}}}}}\n"
    );
    told(Flow::draft("flow.dag.yaml", &manifest, "fuzzed", &Folder::of(&[])));
}

/// A template, of a prompt node and of an llm node.
pub fn template(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let files = [("fuzzed.jinja2", text)];
    let folder = Folder::of(&files);
    told(Flow::draft("flow.dag.yaml", TEMPLATES, "fuzzed", &folder));
    folder.check();
}

/// A prompty: as a flow, as the source of a node, and as a file that another prompty refers to.
pub fn prompty(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let files = [("fuzzed.prompty", text), ("fuzzed.yaml", text)];
    let folder = Folder::of(&files);
    let draft = Flow::draft("fuzzed.prompty", text, "fuzzed", &folder);
    drop(Inputs::decode(draft.flow(), b"{}"));
    told(draft);
    told(Flow::draft("flow.dag.yaml", PROMPTY_NODE, "fuzzed", &folder));
    told(Flow::draft("other.prompty", REFERRING, "fuzzed", &folder));
    folder.check();
}

/// A connection file, and all connections in one variable.
pub fn connection(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let file = [("fuzzed.yaml".to_owned(), text.to_owned())];
    connections(&file, None);
    connections(&[], Some(text));
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(data).expect("a Vec takes everything");
    let packed = packed.finish().expect("a Vec takes everything");
    connections(&[], Some(&STANDARD.encode(packed)));
}

fn connections(files: &[(String, String)], encoded: Option<&str>) {
    let env = |name: &str| match name {
        "PF_ENCODED_CONNECTIONS" => encoded.map(str::to_owned),
        "SET" => Some("from the environment".to_owned()),
        _ => None,
    };
    let told: usize = match Connections::parse(files, &["c", "fuzzed connection"], &env) {
        Ok((connections, warnings)) => {
            let shown = connections.iter().map(|connection| format!("{connection:?}").len()).sum::<usize>();
            shown + warnings.iter().map(|warning| warning.to_string().len()).sum::<usize>()
        }
        Err(problems) => problems.iter().map(|problem| problem.to_string().len()).sum(),
    };
    assert!(told <= MAX_TOLD, "{told} bytes are told about a connection");
}

/// The body of a request, to flows whose inputs have every type.
pub fn score_body(data: &[u8]) {
    if data.len() > MAX_TEXT {
        return;
    }
    static FLOWS: LazyLock<Vec<Flow>> = LazyLock::new(|| {
        let parse = |manifest| Flow::parse("flow.dag.yaml", manifest, "fuzzed", &Folder::of(&[]));
        [EVERY_INPUT, VISION_INPUTS, ONE_INPUT].map(|manifest| parse(manifest).expect("a good flow").0).into()
    });
    for flow in FLOWS.iter() {
        let inputs = match Inputs::decode(flow, data) {
            Ok(inputs) => inputs,
            Err(error) => {
                let told = format!("{}: {error}", error.code()).len();
                assert!(told < 4096, "{told} bytes are told about a request");
                continue;
            }
        };
        for name in flow.inputs().keys() {
            let Some(value) = inputs.get(name) else { continue };
            readable(name, value);
            assert!(python::equal(value, value), "{name} is itself");
        }
        if let Ok(found) = inputs.find_images(flow)
            && found.wanted().is_empty()
        {
            let inputs = found.fill(Vec::new());
            flow.inputs()
                .keys()
                .filter_map(|name| Some((name, inputs.get(name)?)))
                .for_each(|(name, value)| readable(name, value));
        }
    }
}

/// What a [`Json`] promises whoever holds one.
fn readable(name: &str, value: &Json) {
    let parsed = Json::parse(value.as_str());
    assert_eq!(parsed.as_ref(), Ok(value), "input {name} keeps what a value promises");
    serde_json::from_str::<serde_json::Value>(value.as_str()).expect("a reader can take a value");
}

/// What a component answers when it is asked what it takes: a node of a flow, and the entry of one.
pub fn description(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let description = Description::parse(text);
    for manifest in [EVERY_LITERAL, ENTRY] {
        let mut draft = Flow::draft("flow.dag.yaml", manifest, "fuzzed", &Folder::of(&[]));
        for index in draft.sound_nodes() {
            draft.described(index, &description);
        }
        drop(draft.initialise(&IndexMap::from([("size".to_owned(), "5".to_owned())]), Some("{}")));
        told(draft);
    }
}

/// The file that a run of `weir run --data` has left.
pub fn batch_results(data: &[u8]) {
    if data.len() > MAX_TEXT {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("results.jsonl");
    fs::write(&path, data).expect("a file in it");
    let Ok(opened) = ResultFile::open(&path) else {
        assert_eq!(fs::read(&path).expect("it is there"), data, "a file of something else is left alone");
        return;
    };
    let rows = opened.completed().to_vec();
    opened.resume().expect("the file can be written");
    let again = ResultFile::open(&path).expect("what a run has left can be read");
    assert_eq!(again.completed(), rows, "nothing is lost and nothing comes back");
    drop(again);
    let mut results = Results::to(fs::File::create(&path).expect("the file can be written"));
    rows.iter().for_each(|row| results.write(row).expect("the file can be written"));
    let again = ResultFile::open(&path).expect("what was written can be read");
    assert_eq!(again.completed(), rows, "rows are read as they are written");
}

/// The text of a file that is small enough to be looked at.
fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok().filter(|text| text.len() <= MAX_TEXT)
}

/// Finishes a draft, and tells everything that is wrong with it: to people, with and without colours, and to programs.
fn told(draft: Draft) {
    let flow = draft.flow();
    let defaults = flow.inputs().iter().filter_map(|(name, input)| Some((name, input.default.as_ref()?)));
    defaults.chain(flow.sample().into_iter().flatten()).for_each(|(name, value)| readable(name, value));
    for (_, node) in flow.nodes() {
        node.inputs.iter().for_each(|(name, binding)| {
            if let Binding::Literal(value) = binding {
                readable(name, value);
            }
        });
    }
    bounded(draft.finish());
}

/// All that is found is told, in every way, and can be read.
fn bounded<T>(found: Result<(T, Vec<Warning>), Problems>) {
    let told = match found {
        Ok((_, warnings)) => {
            let json: usize = warnings.iter().map(|warning| warning.to_json().to_string().len()).sum();
            json.max(warnings.iter().map(|warning| warning.to_string().len()).sum())
        }
        Err(problems) => {
            let mut drawn = String::new();
            let theme = GraphicalReportHandler::new_themed(GraphicalTheme::unicode()).with_width(100);
            theme.render_report(&mut drawn, &problems).expect("a String takes any text");
            let json: usize = problems.to_json().iter().map(|problem| problem.to_string().len()).sum();
            drawn.len().max(json).max(problems.plain().len())
        }
    };
    assert!(told <= MAX_TOLD, "{told} bytes are told about a file");
}

/// A flow folder that holds these files and those that every flow finds, and counts what is read of it.
struct Folder<'a> {
    files: &'a [(&'a str, &'a str)],
    read: Cell<usize>,
}

impl<'a> Folder<'a> {
    fn of(files: &'a [(&'a str, &'a str)]) -> Self {
        Self { files, read: Cell::new(0) }
    }

    fn find(&self, path: &str) -> Option<&'a str> {
        let mut files = self.files.iter().chain(FILES).copied();
        files.find(|(name, _)| *name == path).map(|(_, text)| text)
    }

    /// Nothing was read over and over.
    fn check(&self) {
        assert!(self.read.get() <= MAX_READ, "{} bytes of files were read for a flow", self.read.get());
    }
}

impl Surroundings for Folder<'_> {
    fn text(&self, path: &str) -> Result<String, FileError> {
        let text = self.find(path).ok_or(FileError::Missing)?;
        self.read.set(self.read.get() + text.len());
        Ok(text.to_owned())
    }

    fn exists(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name == "SET").then(|| "from the environment".to_owned())
    }
}

/// What every flow finds in its folder.
const FILES: &[(&str, &str)] = &[
    ("a.jinja2", "system:\nBe kind.\nuser:\n{{question}} {{ name }}\n"),
    ("hello.jinja2", "Hello {{name}}"),
    ("echo.wasm", ""),
    ("a.prompty", "---\nmodel: {api: chat, configuration: {connection: offline}}\n---\nuser:\n{{question}}\n"),
    ("a.json", r#"{"question": "from a file"}"#),
    ("deep.yaml", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"${file:deep.yaml}\"]]]]]]]]]]]]]]]]]]]]]]]]]]]]"),
    (
        "wide.yaml",
        "['${file:wide.yaml}', '${file:wide.yaml}', '${file:wide.yaml}', '${file:wide.yaml}', '${file:wide.yaml}']",
    ),
];

/// What the component echo.wasm says of itself.
const ECHO: &str = r#"{"inputs":{"required":["text"],"properties":{"text":{"type":"string"},"count":{"type":["integer","null"]}}},
    "init":{"properties":{"size":{"type":"integer"}}}}"#;

const TEMPLATES: &str = "
inputs: {question: {type: string}, list: {type: list}}
outputs: {answer: {type: string, reference: '${chat.output}'}}
nodes:
- {name: prompt, type: prompt, source: {type: code, path: fuzzed.jinja2}, inputs: {a: '${inputs.question}', b: '${inputs.list}', name: n}}
- {name: chat, type: llm, connection: offline, api: chat, source: {type: code, path: fuzzed.jinja2}, inputs: {a: '${prompt.output}', question: q, temperature: 0.5}}
";

const PROMPTY_NODE: &str = "
inputs: {question: {type: string}}
outputs: {answer: {type: string, reference: '${chat.output}'}}
nodes:
- {name: chat, type: llm, connection: offline, source: {type: code, path: fuzzed.prompty}, inputs: {question: '${inputs.question}', temperature: 0.5}}
";

const REFERRING: &str = "---
model: {api: chat, configuration: {connection: offline}, parameters: '${file:fuzzed.yaml}'}
sample: '${file:fuzzed.yaml}'
---
{{question}}
";

const EVERY_INPUT: &str = "
inputs:
  int: {type: int, default: 1}
  double: {type: double, default: 1.5}
  bool: {type: bool, default: true}
  string: {type: string, default: a}
  list: {type: list, default: []}
  object: {type: object, default: {}}
  image: {type: image, default: a.png}
  secret: {type: secret, default: a}
  prompt_template: {type: prompt_template, default: a}
  file_path: {type: file_path, default: a}
  assistant_definition: {type: assistant_definition, default: {}}
";

const VISION_INPUTS: &str = "
$schema: https://azuremlschemas.azureedge.net/promptflow/latest/Flow.schema.json
message_format: openai-vision
inputs:
  list: {type: list, default: []}
  object: {type: object, default: {}}
  image: {type: image, default: a.png}
  chat_history: {type: list, is_chat_history: true, default: []}
";

const ONE_INPUT: &str = "inputs: {text: {type: string}}\n";

const EVERY_LITERAL: &str = "
inputs: {q: {type: string}}
nodes:
- name: a
  type: wasm
  source: {type: code, path: echo.wasm}
  inputs: {text: a, count: 1, float: 1.5, list: [1], object: {a: b}, yes: true, bound: '${inputs.q}'}
";

const ENTRY: &str = "
entry: echo.wasm
inputs: {text: {type: string}, count: {type: int, default: 1}}
init: {size: {type: int, default: 2}, name: {type: string, default: a}}
";

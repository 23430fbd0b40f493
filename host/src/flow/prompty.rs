//! A `.prompty` file as written: front matter in YAML, and a template. Not what flow or node becomes of it: see
//! check/prompty.rs.

use indexmap::IndexMap;

use super::fields::{At, Fields, json};
use super::files::Files;
use super::manifest::{Budget, Input, short_name};
use super::problem::{FileIndex, Findings, Span};
use super::value::Json;
use super::yaml::{Node as Yaml, Value};
use super::{Answer, Surroundings};

/// Most of the files that a prompty puts in, in MiB: no more than it could say itself.
const MAX_READ: usize = 1;

/// Deepest `${file:…}` within `${file:…}`.
const MAX_FILES_DEEP: usize = 4;

/// What of a model's configuration is never a secret.
const NO_KEYS: [&str; 4] = ["type", "connection", "azure_deployment", "model"];

/// What a prompty says. What is absent is `None` or empty.
#[derive(Debug)]
pub(super) struct Prompty {
    pub(super) name: Option<At<String>>,
    pub(super) description: Option<At<String>>,
    /// Ours: see manifest.rs.
    pub(super) trace_content: Option<At<String>>,
    /// Likewise.
    pub(super) budget: Budget,
    pub(super) api: Option<At<String>>,
    /// `model.configuration` but for its connection and model, as written: values may be keys.
    pub(super) configuration: IndexMap<String, String>,
    pub(super) connection: Option<At<String>>,
    /// `azure_deployment` or `model` of the configuration, by the name of the parameter of a call.
    pub(super) model: Option<(&'static str, String)>,
    pub(super) parameters: Vec<(String, At<Json>)>,
    pub(super) answer: Answer,
    pub(super) inputs: Vec<Input>,
    pub(super) sample: Option<IndexMap<String, Json>>,
    pub(super) template: String,
    /// Where the front matter begins, for what is missing in it.
    pub(super) head: Span,
    /// The file that all places are in.
    pub(super) file: FileIndex,
}

impl Prompty {
    /// None: the file has no front matter that can be read, and that was found.
    pub(super) fn parse(text: &str, surroundings: &dyn Surroundings, findings: &mut Findings) -> Option<Self> {
        let Some(parts) = Parts::of(text) else {
            let message = "illegal formatting of prompty: the file has to begin with front matter in YAML, between two \
                           lines of `---`, and then the template";
            findings.problem("InvalidPrompty", &(0..text.lines().next().map_or(0, str::len)), message);
            return None;
        };
        let root = Yaml::parse(&parts.front_matter, findings)?;
        let surroundings = &Files::within(MAX_READ, surroundings);
        let root = Resolver { surroundings, depth: 0 }.front_matter(&root, findings);
        let mut fields = Fields::of("the prompty", &root, findings)?;
        fields.ignore(&["$schema", "authors", "author", "tags", "version", "template", "display_name"]);
        let model = fields.section("model").cloned();
        let inputs = fields.section("inputs").cloned();
        let sample = fields.section("sample").cloned();
        let outputs = fields.section("outputs").cloned();
        let mut prompty = Self {
            name: fields.text("name", findings).and_then(|name| short_name("the prompty", name, findings)),
            description: fields.text("description", findings),
            trace_content: fields.text("trace_content", findings),
            budget: Budget::read("the prompty", &mut fields, findings),
            api: None,
            configuration: IndexMap::new(),
            connection: None,
            model: None,
            parameters: Vec::new(),
            answer: Answer::default(),
            inputs: inputs.map(|node| read_inputs(&node, findings)).unwrap_or_default(),
            sample: sample.and_then(|node| read_sample(&node, findings)),
            template: text[parts.template..].to_owned(),
            head: parts.head,
            file: findings.current(),
        };
        fields.finish(findings);
        if let Some(outputs) = outputs
            && Fields::of("outputs", &outputs, findings).is_some()
        {
            prompty.answer.outputs = keys(&outputs);
        }
        if let Some(model) = model {
            prompty.read_model(&model, findings);
        }
        Some(prompty)
    }

    fn read_model(&mut self, model: &Yaml, findings: &mut Findings) {
        let Some(mut fields) = Fields::of("model", model, findings) else { return };
        self.api = fields.text("api", findings);
        if let Some(configuration) = fields.section("configuration") {
            self.read_configuration(configuration, findings);
        }
        if let Some(parameters) = fields.section("parameters")
            && let Some(parameters) = entries("model.parameters", parameters, findings)
        {
            self.parameters = parameters;
        }
        if let Some(response) = fields.text("response", findings) {
            match response.value.as_str() {
                "first" => {}
                "all" => self.answer.all = true,
                other => {
                    let message = format!("model.response: unknown response {other:?}; responses are: first, all");
                    findings.problem("InvalidPrompty", &response.span, message);
                }
            }
        }
        fields.finish(findings);
    }

    fn read_configuration(&mut self, node: &Yaml, findings: &mut Findings) {
        let Some(entries) = entries("model.configuration", node, findings) else { return };
        for (key, value) in entries {
            let text = match value.value.as_text() {
                Some(text) => text,
                None if value.value.is_null() => continue,
                None => value.value.to_string(),
            };
            match key.as_str() {
                "connection" => self.connection = Some(At { value: text, span: value.span }),
                "azure_deployment" => self.model = Some(("deployment_name", text)),
                "model" => self.model = Some(("model", text)),
                _ => _ = self.configuration.insert(key, text),
            }
        }
        let is_own = |(key, value): (&String, &String)| key != "type" && !value.is_empty();
        if let Some(connection) = self.connection.as_ref().filter(|_| self.configuration.iter().any(is_own)) {
            let message = "model.configuration names a connection, and says what connections say";
            let problem = findings.problem("InvalidConnectionError", &connection.span, message);
            problem.help("leave out `connection`, or all beside it but `type` and the model");
        }
    }
}

/// Where the parts of the file are.
struct Parts {
    /// The front matter at its own place: what stands before it is blank.
    front_matter: String,
    head: Span,
    /// Where the template begins.
    template: usize,
}

impl Parts {
    /// Two lines of three dashes or more, the first of them the first line that is not blank.
    fn of(text: &str) -> Option<Self> {
        let mut lines = Lines { text, at: 0 };
        let opening =
            lines.find(|line| !text[line.clone()].trim_matches(['\u{feff}', ' ', '\t', '\r', '\n']).is_empty())?;
        if !is_rule(&text[opening.clone()]) {
            return None;
        }
        let closing = lines.find(|line| is_rule(&text[line.clone()]))?;
        let blank =
            text[..opening.end].chars().map(|c| if c == '\n' { "\n".to_owned() } else { " ".repeat(c.len_utf8()) });
        let front_matter = blank.collect::<String>() + &text[opening.end..closing.start];
        Some(Self { front_matter, head: opening, template: closing.end })
    }
}

/// The lines of a text with their ends.
struct Lines<'a> {
    text: &'a str,
    at: usize,
}

impl Iterator for Lines<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        let rest = &self.text[self.at..];
        if rest.is_empty() {
            return None;
        }
        let length = rest.find('\n').map_or(rest.len(), |at| at + 1);
        let line = self.at..self.at + length;
        self.at = line.end;
        Some(line)
    }
}

fn is_rule(line: &str) -> bool {
    let line = line.trim_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    line.len() >= 3 && line.bytes().all(|byte| byte == b'-')
}

/// Puts in what `${env:NAME}` and `${file:PATH}` stand for.
struct Resolver<'a> {
    surroundings: &'a dyn Surroundings,
    depth: usize,
}

impl Resolver<'_> {
    /// All of the front matter, but for values of the configuration that may be keys: those are looked up where
    /// connections are.
    fn front_matter(&self, root: &Yaml, findings: &mut Findings) -> Yaml {
        self.entries(root, findings, |key, value, findings| match key {
            "model" => self.entries(value, findings, |key, value, findings| match key {
                "configuration" => self.entries(value, findings, |key, value, findings| {
                    if NO_KEYS.contains(&key) { self.resolve(value, findings) } else { value.clone() }
                }),
                _ => self.resolve(value, findings),
            }),
            "sample" => self.sample(value, findings),
            _ => self.resolve(value, findings),
        })
    }

    /// A sample may be the name of a JSON file, with `file:` before it or without.
    fn sample(&self, node: &Yaml, findings: &mut Findings) -> Yaml {
        match &node.value {
            Value::Text(text) if !text.starts_with("${") && text.ends_with(".json") => {
                self.file(text.trim_start_matches("file:").trim(), node, findings)
            }
            _ => self.resolve(node, findings),
        }
    }

    /// A mapping whose values are resolved in a way of their own. Anything else may stand for one.
    fn entries(
        &self,
        node: &Yaml,
        findings: &mut Findings,
        resolve: impl Fn(&str, &Yaml, &mut Findings) -> Yaml,
    ) -> Yaml {
        let Value::Map(entries) = &node.value else { return self.resolve(node, findings) };
        let mut entries = entries.clone();
        for entry in &mut entries {
            entry.value = resolve(&entry.key, &entry.value, findings);
        }
        Yaml { value: Value::Map(entries), span: node.span.clone() }
    }

    fn resolve(&self, node: &Yaml, findings: &mut Findings) -> Yaml {
        let value = match &node.value {
            Value::Text(text) => match text.strip_prefix("${").and_then(|text| text.strip_suffix('}')) {
                Some(inner) => return self.reference(inner, node, findings),
                None => node.value.clone(),
            },
            Value::List(items) => Value::List(items.iter().map(|item| self.resolve(item, findings)).collect()),
            Value::Map(entries) => {
                let mut entries = entries.clone();
                entries.iter_mut().for_each(|entry| entry.value = self.resolve(&entry.value, findings));
                Value::Map(entries)
            }
            other => other.clone(),
        };
        Yaml { value, span: node.span.clone() }
    }

    fn reference(&self, inner: &str, node: &Yaml, findings: &mut Findings) -> Yaml {
        let text = |text: String| Yaml { value: Value::Text(text), span: node.span.clone() };
        match inner.split_once(':') {
            // A variable that is not set leaves the text as it is, as in the original.
            Some(("env", name)) => self.surroundings.variable(name.trim()).map_or_else(|| node.clone(), text),
            Some(("file", path)) => self.file(path.trim(), node, findings),
            _ => node.clone(),
        }
    }

    fn file(&self, path: &str, node: &Yaml, findings: &mut Findings) -> Yaml {
        let mut wrong = |why: String| {
            findings.problem("InvalidPrompty", &node.span, format!("`${{file:{path}}}`: {why}"));
            // What it stands for has been told of; it is not to be told of as the text that it is.
            Yaml { value: Value::Null, span: node.span.clone() }
        };
        if self.depth == MAX_FILES_DEEP {
            return wrong(format!("files refer to each other more than {MAX_FILES_DEEP} deep"));
        }
        let content = match self.surroundings.text(path.trim_start_matches("./")) {
            Ok(content) => content,
            Err(error) => return wrong(error.to_string()),
        };
        let structured = [".json", ".yaml", ".yml"].iter().any(|ending| path.to_lowercase().ends_with(ending));
        if !structured {
            return Yaml { value: Value::Text(content), span: node.span.clone() };
        }
        // Its places are in another file: what is wrong with it is told here.
        let mut inner = Findings::of(path, &content);
        let Some(read) = Yaml::parse(&content, &mut inner) else {
            let why = inner.finish().err().map_or_else(String::new, |problems| problems.plain());
            return wrong(why.lines().nth(1).unwrap_or_default().trim().to_owned());
        };
        let read = at(&read, &node.span);
        Resolver { surroundings: self.surroundings, depth: self.depth + 1 }.resolve(&read, findings)
    }
}

/// The tree with one place for everything in it.
fn at(node: &Yaml, span: &Span) -> Yaml {
    let value = match &node.value {
        Value::List(items) => Value::List(items.iter().map(|item| at(item, span)).collect()),
        Value::Map(entries) => {
            let mut entries = entries.clone();
            for entry in &mut entries {
                entry.key_span = span.clone();
                entry.value = at(&entry.value, span);
            }
            Value::Map(entries)
        }
        other => other.clone(),
    };
    Yaml { value, span: span.clone() }
}

fn entries(owner: &str, node: &Yaml, findings: &mut Findings) -> Option<Vec<(String, At<Json>)>> {
    Fields::of(owner, node, findings)?;
    let Value::Map(entries) = &node.value else { return None };
    let pair = |entry: &super::yaml::Entry| {
        (entry.key.clone(), json(&format!("{owner}: `{}`", entry.key), &entry.value, findings))
    };
    Some(entries.iter().map(pair).collect())
}

fn keys(node: &Yaml) -> Vec<String> {
    match &node.value {
        Value::Map(entries) => entries.iter().map(|entry| entry.key.clone()).collect(),
        _ => Vec::new(),
    }
}

fn read_inputs(node: &Yaml, findings: &mut Findings) -> Vec<Input> {
    match &node.value {
        Value::Map(entries) => entries.iter().filter_map(|entry| Input::read(entry, findings)).collect(),
        _ => {
            findings.problem("InvalidPrompty", &node.span, format!("inputs must be a mapping, not {}", node.kind()));
            Vec::new()
        }
    }
}

fn read_sample(node: &Yaml, findings: &mut Findings) -> Option<IndexMap<String, Json>> {
    let sample = json("sample", node, findings).value.members();
    if sample.is_none() {
        let message = format!("sample must be a mapping of inputs by name, not {}", node.kind());
        findings.problem("InvalidPrompty", &node.span, message);
    }
    sample
}

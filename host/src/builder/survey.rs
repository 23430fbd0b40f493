//! What the Python of a flow needs, found without running it: which of its nodes run as they are, which need a grant, and what
//! cannot run. Looking at the files is the work of sdk/python; here it is held against the flow.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::builder::BuildError;
use crate::builder::python::{self, Tools};
use crate::builder::tool::Unpacked;
use crate::flow::value::Json;
use crate::flow::{Binding, Flow, Node, NodeKind};
use crate::folder::Folder;

/// What was found of a flow's Python.
#[derive(Debug, Default, Serialize)]
pub struct Survey {
    /// Of each node that needs something, what.
    pub grants: Vec<Wanted>,
    /// What cannot run, each with its place.
    pub cannot: Vec<String>,
    /// What runs, but not as everywhere.
    pub differs: Vec<String>,
    /// The packages that go into the component.
    pub packages: Vec<String>,
}

/// What becomes of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Runs {
    AsItIs,
    /// With what [`Survey::grants`] says.
    WithGrants,
    Not,
}

impl Survey {
    pub fn runs(&self) -> Runs {
        match (self.cannot.is_empty(), self.grants.is_empty()) {
            (true, true) => Runs::AsItIs,
            (true, false) => Runs::WithGrants,
            (false, _) => Runs::Not,
        }
    }
}

/// What a node needs that its flow does not grant.
#[derive(Debug, Default, Serialize)]
pub struct Wanted {
    pub node: String,
    /// Where, and what.
    pub because: Vec<String>,
    /// By the name of the grant.
    pub grants: BTreeMap<&'static str, BTreeSet<String>>,
    /// What has no place in a grant.
    pub notes: Vec<String>,
}

/// What `weir_python.scan` prints.
#[derive(Debug, Deserialize)]
struct Scan {
    files: Vec<File>,
}

#[derive(Debug, Deserialize)]
struct File {
    path: String,
    imports: Vec<Import>,
    hosts: Vec<Host>,
    variables: Vec<Variable>,
    connections: Vec<Connection>,
    cannot: Vec<Cannot>,
}

#[derive(Debug, Deserialize)]
struct Import {
    module: String,
    kind: String,
}

#[derive(Debug, Deserialize)]
struct Host {
    origin: String,
    line: u64,
}

#[derive(Debug, Deserialize)]
struct Variable {
    name: String,
    line: u64,
    /// Whether it is read with a value for where it is not set.
    default: bool,
}

/// A parameter that is a connection, or a connection that is looked up by its name.
#[derive(Debug, Deserialize)]
struct Connection {
    class: Option<String>,
    parameter: Option<String>,
    line: u64,
}

#[derive(Debug, Deserialize)]
struct Cannot {
    line: u64,
    what: String,
    reason: String,
    level: String,
}

/// What `weir_python.requirements` prints.
#[derive(Debug, Deserialize)]
struct Requirements {
    install: Vec<Package>,
    native: Vec<Native>,
    missing: Vec<Missing>,
    problem: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
}

#[derive(Debug, Deserialize)]
struct Native {
    name: String,
    version: String,
    reason: String,
    replacement: Option<String>,
    imported: bool,
}

#[derive(Debug, Deserialize)]
struct Missing {
    module: String,
    files: Vec<String>,
}

/// Whether a grant for `http`, JSON text, lets a node send requests to an address.
pub type Reaches<'a> = &'a dyn Fn(&str, &str) -> bool;

/// Looks at the Python of a flow.
///
/// # Errors
/// If there is no Python here, or it does not look.
pub fn survey(folder: &Folder, flow: &Flow, tools: &Tools, reaches: Reaches<'_>) -> Result<Survey, BuildError> {
    // A survey leaves nothing in the flow folder.
    let unpacked = Unpacked::at(env::temp_dir().join(format!("weir-{}", Uuid::new_v4())), python::FILES)?;
    let root = folder.root().display().to_string();
    let scan: Scan = ask(&unpacked, tools, &["weir_python.scan", &root])?;
    let base = unpacked.path("sdk/python/requirements.txt").display().to_string();
    let wheels = tools.wheels.as_ref().map(|wheels| wheels.display().to_string());
    let mut asked = vec!["weir_python.requirements", &root, "--base", &base];
    asked.extend(wheels.iter().flat_map(|wheels| ["--wheels", wheels]));
    let requirements: Requirements = ask(&unpacked, tools, &asked)?;

    let mut survey = Survey::default();
    for (_, node) in flow.nodes() {
        let NodeKind::Python(python) = &node.kind else { continue };
        let files = scan.of(&python.entry);
        survey.grants.extend(wanted(flow, node, &files, reaches));
    }
    for file in &scan.files {
        for Cannot { line, what, reason, level } in &file.cannot {
            let found = format!("{}:{line}: {what}: {reason}", file.path);
            let list = if level == "error" { &mut survey.cannot } else { &mut survey.differs };
            list.push(found);
        }
    }
    for Native { name, version, reason, replacement, imported } in &requirements.native {
        let instead = replacement.as_ref().map(|instead| format!("; {instead}")).unwrap_or_default();
        let list = if *imported { &mut survey.cannot } else { &mut survey.differs };
        list.push(format!("requirements.txt: {name} {version}: {reason}{instead}"));
    }
    for Missing { module, files } in &requirements.missing {
        survey.cannot.push(format!("{}: no package has the module {module:?}", files.join(", ")));
    }
    survey.cannot.extend(requirements.problem.map(|problem| format!("requirements.txt: {problem}")));
    survey.packages =
        requirements.install.iter().map(|Package { name, version }| format!("{name} {version}")).collect();
    Ok(survey)
}

/// What a node needs beyond what its flow gives it; none if that is nothing.
fn wanted(flow: &Flow, node: &Node, files: &[&File], reaches: Reaches<'_>) -> Option<Wanted> {
    let mut wanted = Wanted { node: node.id.to_string(), ..Wanted::default() };
    let granted = |grant: &str, what: &str| {
        let asks = |asked: &Json| match grant {
            "http" => reaches(asked.as_str(), what),
            _ => asked.as_str().contains(&Json::string(what).to_string()),
        };
        node.grants.get(grant).is_some_and(asks)
    };
    let mut want = |grant: &'static str, what: String, because: String| {
        if !granted(grant, &what) && wanted.grants.entry(grant).or_default().insert(what) {
            wanted.because.push(because);
        }
    };
    let mut notes = Vec::new();
    let imports = || files.iter().flat_map(|file| &file.imports);
    let asks_models = imports().any(|import| CLIENTS.contains(&import.module.split('.').next().unwrap_or_default()));
    for File { path, hosts, variables, connections, .. } in files {
        for Host { origin, line } in hosts {
            want("http", origin.clone(), format!("{path}:{line} has an address of {origin}"));
        }
        for Variable { name, line, default } in variables {
            match flow.environment_variables().get(name) {
                Some(value) if value.contains("${") => match key_of(value).filter(|_| asks_models) {
                    Some(connection) => {
                        let because = format!("{path}:{line} reads the variable {name}, the key of {connection:?}");
                        want("llm", connection.to_owned(), because);
                    }
                    None => {
                        let because = format!("{path}:{line} reads the variable {name}, a key of a connection");
                        want("config", name.clone(), because);
                    }
                },
                Some(_) => {}
                // It has said what to do without.
                None if *default => {}
                None => notes.push(format!(
                    "{path}:{line} reads the variable {name}: if it is to be set, add it to `environment_variables` of the flow"
                )),
            }
        }
        for Connection { class, parameter, line } in connections {
            let given = parameter.as_ref().and_then(|parameter| match node.inputs.get(parameter) {
                Some(Binding::Literal(value)) => value.as_text(),
                _ => None,
            });
            let reads = |name: &str| {
                node.grants.get("config").is_some_and(|asked| asked.as_str().contains(&format!("\"{name}.")))
            };
            if let (Some("CustomConnection"), Some(name)) = (class.as_deref(), given.filter(|name| !reads(name))) {
                notes.push(format!(
                    "{path}:{line} is given the connection {name:?}: grant each secret that it reads, as `config: [{name}.KEY]`"
                ));
            }
        }
    }
    notes.dedup();
    wanted.notes = notes;
    (!wanted.grants.is_empty() || !wanted.notes.is_empty()).then_some(wanted)
}

/// Packages whose clients ask models, and take what stands for a key in place of the key.
const CLIENTS: [&str; 3] = ["openai", "langchain_openai", "langchain"];

/// The connection of which a variable of the flow is the key of a model's service: `${NAME.api_key}`.
fn key_of(value: &str) -> Option<&str> {
    value.strip_prefix("${")?.strip_suffix(".api_key}")
}

impl Wanted {
    /// The grants as the flow file writes them: `{http: ["https://api.example.com"]}`.
    pub fn yaml(&self) -> Option<String> {
        let list = |(grant, what): (&&str, &BTreeSet<String>)| {
            let items: Vec<_> = what.iter().map(|item| Json::string(item).to_string()).collect();
            format!("{grant}: [{}]", items.join(", "))
        };
        let lists: Vec<_> = self.grants.iter().map(list).collect();
        (!lists.is_empty()).then(|| format!("grants: {{{}}}", lists.join(", ")))
    }
}

impl Scan {
    /// The files of an entry: its own, and those of the flow that it imports.
    fn of(&self, entry: &str) -> Vec<&File> {
        let own = match entry.split_once(':') {
            Some((module, _)) if !module.ends_with(".py") => module.to_owned(),
            Some((file, _)) => module_of(file),
            None => module_of(entry),
        };
        let (mut reached, mut waiting) = (Vec::<&File>::new(), vec![own]);
        while let Some(module) = waiting.pop() {
            let within = format!("{module}.");
            for file in &self.files {
                let name = module_of(&file.path);
                let is_of = name == module || (name.starts_with(&within));
                if is_of && !reached.iter().any(|known| known.path == file.path) {
                    reached.push(file);
                    let imports = file.imports.iter().filter(|import| import.kind == "flow");
                    waiting.extend(imports.map(|import| import.module.clone()));
                }
            }
        }
        reached
    }
}

/// `pkg.lib` of `pkg/lib.py`, and of `pkg/lib/__init__.py`.
fn module_of(path: &str) -> String {
    let path = path.strip_suffix(".py").unwrap_or(path);
    path.strip_suffix("/__init__").unwrap_or(path).replace('/', ".")
}

/// Runs a module of the runtime, which prints one JSON object, whatever its status.
fn ask<T: DeserializeOwned>(unpacked: &Unpacked, tools: &Tools, arguments: &[&str]) -> Result<T, BuildError> {
    let mut asked = Command::new(&tools.python);
    asked.arg("-m").args(arguments).env("PYTHONPATH", unpacked.path("sdk/python/runtime"));
    let output = asked.stdin(Stdio::null()).output().map_err(|error| python::not_run(tools, error))?;
    serde_json::from_slice(&output.stdout)
        .map_err(|error| BuildError::Python(format!("{error}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan() -> Scan {
        let file = |path: &str, imports: &[&str]| {
            let imports: Vec<_> =
                imports.iter().map(|module| serde_json::json!({"module": module, "kind": "flow"})).collect();
            serde_json::json!({"path": path, "imports": imports, "hosts": [], "variables": [], "connections": [], "cannot": []})
        };
        let files = [
            file("a.py", &["lib.net"]),
            file("b.py", &[]),
            file("lib/__init__.py", &[]),
            file("lib/net.py", &["lib"]),
            file("lib/other.py", &["b"]),
            file("libs.py", &[]),
        ];
        serde_json::from_value(serde_json::json!({"files": files})).expect("a scan")
    }

    #[track_caller]
    fn check(entry: &str, expected: &[&str]) {
        let scan = scan();
        let mut reached: Vec<_> = scan.of(entry).into_iter().map(|file| file.path.as_str()).collect();
        reached.sort_unstable();
        assert_eq!(reached, expected, "{entry}");
    }

    #[test]
    fn files_of_an_entry_are_those_that_it_imports_and_no_others() {
        check("b.py", &["b.py"]);
        check("b.py:tool", &["b.py"]);
        check("b:Class", &["b.py"]);
        check("libs.py", &["libs.py"]);
        // Who imports a package may use all of it.
        check("a.py", &["a.py", "b.py", "lib/__init__.py", "lib/net.py", "lib/other.py"]);
    }

    #[test]
    fn grants_are_written_as_a_flow_file_has_them() {
        let mut wanted = Wanted::default();
        assert_eq!(wanted.yaml(), None);
        wanted.grants.entry("http").or_default().insert("https://b.example".to_owned());
        wanted.grants.entry("http").or_default().insert("https://a.example".to_owned());
        wanted.grants.entry("config").or_default().insert("KEY".to_owned());
        let expected = r#"grants: {config: ["KEY"], http: ["https://a.example", "https://b.example"]}"#;
        assert_eq!(wanted.yaml().as_deref(), Some(expected));
    }
}

//! The configuration file: settings by their keys, and variables for flows. Which settings there are: see ../config.rs.
//!
//! ```yaml
//! listen: 0.0.0.0:8080
//! drain: {delay: 5s, timeout: 20s}          # the same as drain_delay and drain_timeout
//! environment_variables: {PF_LINE_TIMEOUT_SEC: 60, OTEL_SERVICE_NAME: chat}
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use crate::flow::problem::{Findings, Problems, listed, nearest};
use crate::flow::yaml::{Entry, Node, Value};
use crate::setting::{Given, Origin, Setting};

/// The key under which variables stand.
const VARIABLES: &str = "environment_variables";

/// A configuration file after it was read.
#[derive(Clone, Debug)]
pub struct File {
    path: PathBuf,
    /// By key.
    settings: IndexMap<String, Said>,
    pub(super) variables: IndexMap<String, Said>,
}

/// A text, and the line it stands in.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) text: String,
    line: usize,
}

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{}: the configuration file cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Wrong(#[from] Problems),
}

impl File {
    /// Reads a file; `known` are the keys there are.
    ///
    /// # Errors
    /// If it cannot be read; all that is wrong with it.
    pub fn read(path: &Path, known: &[String]) -> Result<Self, FileError> {
        let text =
            fs::read_to_string(path).map_err(|source| FileError::Unreadable { path: path.to_owned(), source })?;
        Ok(Self::parse(path, &text, known)?)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(path: &Path, text: &str, known: &[String]) -> Result<Self, Problems> {
        let mut findings = Findings::of(&path.display().to_string(), text);
        let mut reading = Reading { text, known, findings: &mut findings };
        let mut file = Self { path: path.to_owned(), settings: IndexMap::new(), variables: IndexMap::new() };
        if let Some(root) = Node::parse(text, reading.findings) {
            for entry in reading.entries("the configuration", &root) {
                if entry.key == VARIABLES {
                    for variable in reading.entries(VARIABLES, &entry.value) {
                        if let Some(said) = reading.said(&variable.key, variable) {
                            file.variables.insert(variable.key.clone(), said);
                        }
                    }
                } else {
                    reading.setting(&entry.key, entry, &mut file.settings);
                }
            }
        }
        findings.finish().map(|_| file)
    }

    /// What the file says of a setting: under its key, or, for variables that are not ours, among its variables.
    pub(super) fn given(&self, setting: &Setting) -> Option<Given> {
        let said = match setting.key() {
            Some(key) => self.settings.get(&key).or_else(|| self.variables.get(setting.variable)),
            None => self.variables.get(setting.variable),
        }?;
        let origin = Origin::File { path: self.path.clone(), line: said.line };
        Some(Given { text: said.text.clone(), origin })
    }
}

struct Reading<'a> {
    text: &'a str,
    known: &'a [String],
    findings: &'a mut Findings,
}

impl Reading<'_> {
    /// One setting, or a group of them whose names begin alike.
    fn setting(&mut self, key: &str, entry: &Entry, settings: &mut IndexMap<String, Said>) {
        if let Value::Map(members) = &entry.value.value {
            for member in members {
                self.setting(&format!("{key}_{}", member.key), member, settings);
            }
            return;
        }
        if !self.known.iter().any(|known| known == key) {
            let problem = self.findings.problem("UnknownSetting", &entry.key_span, format!("unknown setting `{key}`"));
            let known = self.known.iter().map(String::as_str);
            problem.help(match nearest(key, known.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("settings are: {}", listed(known)),
            });
            return;
        }
        if let Some(said) = self.said(key, entry) {
            settings.insert(key.to_owned(), said);
        }
    }

    fn said(&mut self, key: &str, entry: &Entry) -> Option<Said> {
        // Only paths are separated as they are in PATH.
        let separator = if key == "connections" { ":" } else { "," };
        let text = match &entry.value.value {
            Value::List(items) => items.iter().map(scalar).collect::<Option<Vec<_>>>().map(|it| it.join(separator)),
            _ => scalar(&entry.value),
        };
        let Some(text) = text else {
            let message = format!("`{key}` must be a text, a number, true or false, or a list of these");
            self.findings.problem("InvalidSetting", &entry.value.span, message);
            return None;
        };
        let before = self.text.get(..entry.key_span.start).unwrap_or_default();
        Some(Said { text, line: before.matches('\n').count() + 1 })
    }

    fn entries<'n>(&mut self, owner: &str, node: &'n Node) -> Vec<&'n Entry> {
        match &node.value {
            Value::Map(entries) => entries.iter().collect(),
            Value::Null => Vec::new(),
            _ => {
                let message = format!("{owner} must be a mapping, not {}", node.kind());
                self.findings.problem("InvalidSetting", &node.span, message);
                Vec::new()
            }
        }
    }
}

/// A single value as text.
fn scalar(node: &Node) -> Option<String> {
    match &node.value {
        Value::Null => Some(String::new()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Text(text) => Some(text.clone()),
        Value::NotFinite | Value::List(_) | Value::Map(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static DRAIN: Setting = Setting::new("WEIR_DRAIN_DELAY", "5s", "");
    static HOSTS: Setting = Setting::new("WEIR_IMAGE_HOSTS", "", "");
    static LINE: Setting = Setting::new("PF_LINE_TIMEOUT_SEC", "", "");

    fn parse(text: &str) -> Result<File, Problems> {
        let known = ["drain_delay", "image_hosts", "listen"].map(str::to_owned);
        File::parse(Path::new("weir.yaml"), text, &known)
    }

    #[test]
    fn settings_stand_under_their_keys_and_others_among_the_variables() {
        let text = "drain: {delay: 1s}\nimage_hosts:\n- a\n- b\nenvironment_variables:\n  PF_LINE_TIMEOUT_SEC: 60\n";
        let file = parse(text).unwrap();
        let given = |setting| file.given(setting).map(|given| (given.text, given.origin.to_string()));
        assert_eq!(given(&DRAIN), Some(("1s".into(), "weir.yaml:1".into())));
        assert_eq!(given(&HOSTS), Some(("a,b".into(), "weir.yaml:2".into())));
        assert_eq!(given(&LINE), Some(("60".into(), "weir.yaml:6".into())));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once_with_its_place() {
        let problems = parse("lisen: a\ndrain: {wait: 1s}\nlisten: [[a]]\n").unwrap_err();
        assert_eq!(
            problems.plain(),
            "weir.yaml has 3 problems\n  weir.yaml:1:1: unknown setting `lisen`; did you mean `listen`?\n  \
             weir.yaml:2:9: unknown setting `drain_wait`; settings are: drain_delay, \
             image_hosts, listen\n  \
             weir.yaml:3:9: `listen` must be a text, a number, true or false, or a list of these"
        );
    }
}

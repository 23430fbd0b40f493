//! Who wins when several say something: flags, then the process environment, then the configuration file, then what a
//! deployment file says. Defaults are the settings' own.

use std::path::PathBuf;

use indexmap::IndexMap;

use super::arguments::GivenArgs;
use super::file::File;
use crate::setting::{Given, Origin, PREFIX, Setting, Source};

/// A flag of the command line that stands for a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    variable: String,
    flag: &'static str,
    text: String,
}

impl Flag {
    pub(super) fn new(variable: &str, flag: &'static str, text: String) -> Self {
        Self { variable: variable.to_owned(), flag, text }
    }

    /// `--set KEY=TEXT`.
    pub(super) fn set(key: &str, text: &str) -> Self {
        Self::new(&format!("{PREFIX}{}", key.to_ascii_uppercase()), "--set", text.to_owned())
    }

    /// The setting it stands for, by its key.
    pub(super) fn key(&self) -> String {
        self.variable.trim_start_matches(PREFIX).to_ascii_lowercase()
    }

    /// Whether it is one that names its setting itself.
    pub(super) fn is_set(&self) -> bool {
        self.flag == "--set"
    }
}

/// What a deployment file says of settings.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub path: PathBuf,
    /// By variable, each with the place that says so.
    pub settings: IndexMap<&'static str, Given>,
    /// Its `environment_variables`.
    pub variables: IndexMap<String, String>,
}

/// Everything that was given, in layers.
#[derive(Clone, Copy)]
pub struct Layers<'a> {
    /// `--environment-variables`: before the environment of the process.
    pub variables: &'a [(String, String)],
    pub flags: &'a [Flag],
    /// The process's own environment.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    pub file: Option<&'a File>,
    pub deployment: Option<&'a Told>,
}

impl<'a> Layers<'a> {
    /// For verbs that take a flow and no more. `flags` are those of `given`.
    pub fn of_process(given: &'a GivenArgs, flags: &'a [Flag]) -> Self {
        let variables = &given.environment_variables;
        Self { variables, flags, environment: &super::variable, file: None, deployment: None }
    }
    /// A variable as flows and their connections see it. Settings of the host, keys among them, are none of theirs.
    pub fn variable(&self, name: &str) -> Option<String> {
        let given = self.variables.iter().rev().find(|(given, _)| given == name);
        let own = given.map(|(_, value)| value.clone()).filter(|value| !value.is_empty());
        if own.is_some() || name.starts_with(PREFIX) {
            return own;
        }
        let of_file = || self.file.and_then(|file| Some(file.variables.get(name)?.text.clone()));
        let of_deployment = || self.deployment.and_then(|told| told.variables.get(name).cloned());
        (self.environment)(name).or_else(of_file).or_else(of_deployment)
    }
}

impl Source for Layers<'_> {
    fn given(&self, setting: &Setting) -> Option<Given> {
        let name = setting.variable;
        let flag = self.flags.iter().find(|flag| flag.variable == name);
        let of_flag = flag.map(|flag| Given { text: flag.text.clone(), origin: Origin::Flag(flag.flag) });
        let of_variables = || {
            let (_, text) = self.variables.iter().rev().find(|(given, _)| given == name)?;
            Some(Given { text: text.clone(), origin: Origin::Flag("--environment-variables") })
        };
        let of_environment = || {
            let text = (self.environment)(name)?;
            Some(Given { text, origin: Origin::Environment(setting.variable) })
        };
        let of_file = || self.file?.given(setting);
        let of_deployment = || {
            let told = self.deployment?;
            let at = |key: String| Origin::Deployment { path: told.path.clone(), key };
            if let Some(given) = told.settings.get(name) {
                return Some(given.clone());
            }
            let text = told.variables.get(name)?.clone();
            Some(Given { text, origin: at(format!("environment_variables.{name}")) })
        };
        let given = [of_flag].into_iter().flatten();
        let others: [&dyn Fn() -> Option<Given>; 4] = [&of_variables, &of_environment, &of_file, &of_deployment];
        given.chain(others.into_iter().filter_map(|layer| layer())).find(|given| !given.text.is_empty())
    }
}

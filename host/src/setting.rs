//! A setting: its name, its default, what it is for; and, once it was read, its value and where that came from. A leaf.
//!
//! Every module declares the settings it needs beside the code that uses them, and reads them with a [`Reader`] into its
//! own `Config`. Where texts come from (flags, variables, files) is not known here: see config.rs.

mod parse;

use std::fmt;
use std::path::PathBuf;

pub use parse::{count_within, one_of, only_true, path, size_up_to, text, time_or_none_up_to, time_up_to};

/// Prefix of the variables that are ours. Without it and in lower case, a name is the key of a configuration file.
pub const PREFIX: &str = "WEIR_";

/// A setting as it is documented.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// The environment variable.
    pub variable: &'static str,
    /// The default as one would write it; empty: there is none, and `absent` says what holds then.
    pub default: &'static str,
    /// What holds if it is not set and has no default, in words.
    pub absent: &'static str,
    /// What it is.
    pub meaning: &'static str,
    /// Whether its value may be shown.
    pub secret: bool,
}

impl Setting {
    pub const fn new(variable: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self { variable, default, absent: "", meaning, secret: false }
    }

    /// One that may be left unset; `absent` says what holds then.
    pub const fn optional(variable: &'static str, absent: &'static str, meaning: &'static str) -> Self {
        Self { variable, default: "", absent, meaning, secret: false }
    }

    /// One whose value is never shown.
    pub const fn secret(variable: &'static str, absent: &'static str, meaning: &'static str) -> Self {
        Self { variable, default: "", absent, meaning, secret: true }
    }

    /// Its key in a configuration file; only ours have one.
    pub fn key(&self) -> Option<String> {
        self.variable.strip_prefix(PREFIX).map(str::to_ascii_lowercase)
    }
}

/// Where a value came from. What stands first here wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command line, such as `--listen`.
    Flag(&'static str),
    /// A variable of the process environment.
    Environment(&'static str),
    /// The configuration file, at this line.
    File {
        path: PathBuf,
        line: usize,
    },
    /// A deployment file, under this key.
    Deployment {
        path: PathBuf,
        key: String,
    },
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => f.write_str(name),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Deployment { path, key } => write!(f, "{}: {key}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A text that was given for a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    pub text: String,
    pub origin: Origin,
}

/// Whoever knows what was given.
pub trait Source {
    /// What wins of all that was given for the setting; an empty text counts as not given.
    fn given(&self, setting: &Setting) -> Option<Given>;
}

/// An environment that a test has made up.
#[cfg(test)]
pub(crate) struct Variables<F>(pub(crate) F);

#[cfg(test)]
impl<F: Fn(&str) -> Option<String>> Source for Variables<F> {
    fn given(&self, setting: &Setting) -> Option<Given> {
        let text = (self.0)(setting.variable).filter(|text| !text.is_empty())?;
        Some(Given { text, origin: Origin::Environment(setting.variable) })
    }
}

/// What settings come to with these variables, or all that is wrong with them.
#[cfg(test)]
pub(crate) fn read_from<T>(env: &[(&str, &str)], read: impl FnOnce(&mut Reader<'_>) -> T) -> Result<T, Vec<String>> {
    let variables = Variables(|name: &str| {
        env.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
    });
    let mut reader = Reader::new(&variables);
    let config = read(&mut reader);
    let (_, problems) = reader.finish();
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

/// A setting after it was read.
#[derive(Clone)]
pub struct Found {
    pub setting: &'static Setting,
    /// None: unset, and no default.
    pub text: Option<String>,
    pub origin: Origin,
}

impl Found {
    /// The text as it may be shown.
    pub fn shown(&self) -> Option<&str> {
        self.text.as_deref().map(|text| if self.setting.secret { "(set, not shown)" } else { text })
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={:?} ({})", self.setting.variable, self.shown(), self.origin)
    }
}

/// Reads settings: keeps what was found, and gathers all that cannot be understood.
pub struct Reader<'a> {
    source: &'a dyn Source,
    found: Vec<Found>,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    pub fn new(source: &'a dyn Source) -> Self {
        Self { source, found: Vec::new(), problems: Vec::new() }
    }

    /// The value of a setting that has a default. One that cannot be understood is a problem, and the default is taken so
    /// that the reading can go on.
    ///
    /// # Panics
    /// If the documented default cannot be understood: then every start fails, and so does the test of all settings.
    pub fn value<T>(&mut self, setting: &'static Setting, parse: impl Fn(&str) -> Result<T, String>) -> T {
        let read = self.optional(setting, &parse);
        read.unwrap_or_else(|| parse(setting.default).expect("a documented default can be understood"))
    }

    /// The value of a setting that may be left unset.
    pub fn optional<T>(&mut self, setting: &'static Setting, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let Some(Given { text, origin }) = self.source.given(setting) else {
            let text = (!setting.default.is_empty()).then(|| setting.default.to_owned());
            self.found.push(Found { setting, text, origin: Origin::Default });
            return None;
        };
        let parsed = parse(text.trim());
        let value = match parsed {
            Ok(value) => Some(value),
            Err(problem) => {
                self.problem(setting, &origin, &problem);
                None
            }
        };
        self.found.push(Found { setting, text: Some(text), origin });
        value
    }

    /// Tells of a problem with what was given for a setting, or with how it goes together with others.
    pub fn problem(&mut self, setting: &Setting, origin: &Origin, problem: &str) {
        let place = match origin {
            Origin::Flag(name) => (*name).to_owned(),
            Origin::Environment(_) | Origin::Default => setting.variable.to_owned(),
            Origin::File { .. } => {
                format!("{origin}: {}", setting.key().unwrap_or_else(|| setting.variable.to_owned()))
            }
            Origin::Deployment { .. } => origin.to_string(),
        };
        self.problems.push(format!("{place}: {problem}"));
    }

    /// A problem that is told already in full.
    pub fn complain(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// The same of a problem that several readings may find.
    pub fn complain_once(&mut self, problem: String) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// The keys of what was asked for so far.
    pub fn keys(&self) -> Vec<String> {
        self.found.iter().filter_map(|found| found.setting.key()).collect()
    }

    /// All that was found, in the order of reading, and all that is wrong, one text each.
    pub fn finish(self) -> (Vec<Found>, Vec<String>) {
        (self.found, self.problems)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    static TIME: Setting = Setting::new("WEIR_TIME", "10s", "a time");
    static NAME: Setting = Setting::optional("WEIR_NAME", "nobody", "a name");

    struct Texts(Vec<(&'static str, &'static str, Origin)>);

    impl Source for Texts {
        fn given(&self, setting: &Setting) -> Option<Given> {
            let (_, text, origin) = self.0.iter().find(|(variable, ..)| *variable == setting.variable)?;
            Some(Given { text: (*text).to_owned(), origin: origin.clone() })
        }
    }

    #[test]
    fn what_is_not_given_is_the_default() {
        let texts = Texts(Vec::new());
        let mut reader = Reader::new(&texts);
        assert_eq!(reader.value(&TIME, time_up_to(Duration::from_secs(60))), Duration::from_secs(10));
        assert_eq!(reader.optional(&NAME, text), None);
        let (found, problems) = reader.finish();
        let found: Vec<_> = found.iter().map(|it| (it.setting.variable, it.text.as_deref(), &it.origin)).collect();
        assert_eq!(found, [("WEIR_TIME", Some("10s"), &Origin::Default), ("WEIR_NAME", None, &Origin::Default)]);
        assert_eq!(problems, Vec::<String>::new());
    }

    #[test]
    fn a_problem_names_the_place_where_the_text_stands() {
        let file = Origin::File { path: "weir.yaml".into(), line: 3 };
        let deployment = Origin::Deployment { path: "blue.yaml".into(), key: "request_settings.time".into() };
        for (origin, text, expected) in [
            (Origin::Flag("--time"), "10", "--time: \"10\" has no unit; write 10s"),
            (Origin::Environment("WEIR_TIME"), "2m", "WEIR_TIME: \"2m\" is more than 60s, the most it may be"),
            (file, "x", "weir.yaml:3: time: \"x\" must be a whole number and a unit, such as 10s"),
            (deployment, "10", "blue.yaml: request_settings.time: \"10\" has no unit; write 10s"),
        ] {
            let texts = Texts(vec![("WEIR_TIME", text, origin)]);
            let mut reader = Reader::new(&texts);
            assert_eq!(reader.value(&TIME, time_up_to(Duration::from_secs(60))), Duration::from_secs(10));
            assert_eq!(reader.finish().1, [expected]);
        }
    }
}

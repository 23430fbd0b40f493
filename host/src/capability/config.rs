//! `wasi:config/store`: settings of the flow and of connections. Granted by naming each: `NAME.KEY` is a key of a
//! connection, `NAME` one of the flow's `environment_variables`, which is then in the guest's environment as well.
//!
//! Reading a setting asks nobody, so it is no call and has no span. What settings hold appears nowhere: a secret that
//! a flow grants to a node is between the two.

mod wit;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use wasmtime::component::Linker;

use crate::boundary::grants::{Ask, AskError};
use crate::boundary::{Capability, Lend, Lent};
use crate::capability::connection::{Connections, Field};

/// Where settings come from.
#[derive(Debug, Default)]
pub struct Config {
    pub connections: Connections,
    /// The flow's `environment_variables` as they are now.
    pub environment: IndexMap<String, Field>,
}

/// Serves `wasi:config/store`.
#[derive(Debug)]
pub struct Settings(Config);

/// The settings of one node, by name.
#[derive(Debug, Default)]
pub struct Grant(BTreeMap<String, Field>);

impl Capability for Settings {
    const NAME: &'static str = "config";
    const INTERFACE: &'static str = "wasi:config/store";
    type Config = Config;
    type Grant = Grant;

    fn build(config: Config) -> Self {
        Self(config)
    }

    fn connections(ask: Ask<'_>) -> Vec<String> {
        let names = ask.names(Self::NAME).unwrap_or_default();
        names.iter().filter_map(|name| Some(name.rsplit_once('.')?.0.to_owned())).collect()
    }

    fn grant(&self, ask: Ask<'_>) -> Result<Option<Grant>, AskError> {
        let mut settings = BTreeMap::new();
        for name in ask.connections {
            settings.extend(self.plain_fields(name)?);
        }
        for name in ask.names(Self::NAME)? {
            let field = match name.rsplit_once('.') {
                Some((connection, key)) => self.field(connection, key)?,
                None => self.variable(&name)?,
            };
            settings.insert(name, field);
        }
        Ok((!settings.is_empty()).then_some(Grant(settings)))
    }

    fn link<T: Lend>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        crate::bindings::store::add_to_linker::<T, Lent>(linker, T::lend)
    }
}

impl Settings {
    /// What a node may know of its own connection without asking: all that is no secret.
    fn plain_fields(&self, name: &str) -> Result<Vec<(String, Field)>, AskError> {
        let connection = self.0.connections.get(name).map_err(unknown_connection)?;
        let plain = connection.fields().filter(|(_, field)| matches!(field, Field::Plain(_)));
        Ok(plain.map(|(key, field)| (format!("{name}.{key}"), field.clone())).collect())
    }

    fn field(&self, name: &str, key: &str) -> Result<Field, AskError> {
        let connection = self.0.connections.get(name).map_err(unknown_connection)?;
        let field = connection.field(key);
        field.cloned().map_err(|unknown| AskError::Unusable(format!("grants.{}: {unknown}", Self::NAME)))
    }

    fn variable(&self, name: &str) -> Result<Field, AskError> {
        let environment = &self.0.environment;
        environment.get(name).cloned().ok_or_else(|| AskError::Unknown {
            what: "environment variable",
            name: name.to_owned(),
            known: environment.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        })
    }
}

fn unknown_connection(unknown: crate::capability::connection::UnknownConnection) -> AskError {
    AskError::Unknown { what: "connection", name: unknown.name, known: unknown.known.join(", ") }
}

impl Grant {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(text)
    }

    /// All settings, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, field)| (name.as_str(), text(field)))
    }

    /// Those that are variables of the environment.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(|(name, _)| !name.contains('.'))
    }
}

/// The value itself, for the guest that was granted it.
fn text(field: &Field) -> &str {
    match field {
        Field::Plain(text) => text,
        Field::Secret(secret) => secret.expose(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECTION: &str = "
name: search
type: custom
configs: {endpoint: 'https://search.example', index: books}
secrets: {token: t-1}
";

    fn settings() -> Settings {
        let files = [("search.yaml".to_owned(), CONNECTION.to_owned())];
        let (connections, _) = Connections::parse(&files, &["search"], &|_| None).expect("a connection");
        let environment = IndexMap::from([("GREETING".to_owned(), Field::Plain("hi".to_owned()))]);
        Settings::build(Config { connections, environment })
    }

    #[track_caller]
    fn check(connection: Option<&str>, grant: Option<&str>, expected: &[(&str, &str)]) {
        let granted =
            settings().grant(Ask { connections: connection.as_slice(), grant }).expect("a grant").unwrap_or_default();
        assert_eq!(granted.iter().collect::<Vec<_>>(), expected);
    }

    #[track_caller]
    fn check_refused(grant: &str, expected: &str) {
        let refused = settings().grant(Ask { connections: &[], grant: Some(grant) }).expect_err("a refusal");
        assert_eq!(refused.to_string(), expected);
    }

    #[test]
    fn a_node_reads_what_it_is_granted_by_name() {
        check(None, None, &[]);
        check(None, Some("[]"), &[]);
        check(None, Some(r#"["GREETING"]"#), &[("GREETING", "hi")]);
        check(None, Some(r#"["search.index", "search.token"]"#), &[("search.index", "books"), ("search.token", "t-1")]);
    }

    #[test]
    fn a_node_knows_of_its_own_connection_what_is_no_secret() {
        let plain = [("search.endpoint", "https://search.example"), ("search.index", "books")];
        check(Some("search"), None, &plain);
        check(Some("search"), Some(r#"["search.token"]"#), &[plain[0], plain[1], ("search.token", "t-1")]);
    }

    #[test]
    fn only_variables_are_in_the_environment() {
        let ask = Ask { connections: &["search"], grant: Some(r#"["GREETING"]"#) };
        let granted = settings().grant(ask).expect("a grant").expect("settings");
        assert_eq!(granted.variables().collect::<Vec<_>>(), [("GREETING", "hi")]);
    }

    #[test]
    fn what_is_not_known_is_refused_with_what_is() {
        check_refused(r#"["GREETNIG"]"#, r#"environment variable "GREETNIG" is not known; known: GREETING"#);
        check_refused(r#"["serach.index"]"#, r#"connection "serach" is not known; known: offline, search"#);
        check_refused(
            r#"["search.indx"]"#,
            "grants.config: Key 'indx' not found in connection 'search'. Its keys are: endpoint, index, token",
        );
        check_refused(r#""GREETING""#, r#"grants.config: expected a list of names such as [a, b], found "GREETING""#);
    }

    #[test]
    fn the_connections_of_settings_are_loaded() {
        let ask = Ask { connections: &[], grant: Some(r#"["a.b.key", "GREETING"]"#) };
        assert_eq!(Settings::connections(ask), ["a.b"]);
    }

    #[test]
    fn a_secret_is_not_shown() {
        let ask = Ask { connections: &[], grant: Some(r#"["search.token"]"#) };
        let shown = format!("{:?}", settings().grant(ask));
        assert!(shown.contains("******") && !shown.contains("t-1"), "{shown}");
    }
}

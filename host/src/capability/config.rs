//! `wasi:config/store`: settings of the flow and of connections. Granted by naming each: `NAME.KEY` is a key of a
//! connection, `NAME` one of the flow's `environment_variables`, which is then in the guest's environment as well.
//!
//! Reading a setting asks nobody, so it is no call and has no span. What settings hold appears nowhere: a secret that
//! a flow grants to a node is between the two.

mod wit;

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use wasmtime::component::Linker;

use crate::boundary::grants::{Ask, AskError};
use crate::boundary::policy::Rules;
use crate::boundary::{Capability, Lend, Lent};
use crate::capability::Glob;
use crate::capability::connection::{Connections, Field};

/// Where settings come from.
#[derive(Debug, Default)]
pub struct Config {
    pub connections: Connections,
    /// The flow's `environment_variables` as they are now.
    pub environment: IndexMap<String, Field>,
    /// The connection of each of them that holds the key of one whose service the host asks for nodes.
    pub keys: IndexMap<String, String>,
}

/// What stands, before the name of a connection, for its key: clients of the guest runtime make nothing of it but the name.
const PLACEHOLDER: &str = "weir-connection:";

/// Serves `wasi:config/store`.
#[derive(Debug)]
pub struct Settings(Config);

/// The settings of one node.
#[derive(Debug, Default)]
pub struct Grant {
    by_name: BTreeMap<String, Field>,
    /// Connections that are the node's own.
    own: Vec<String>,
    /// Which settings are secrets: those among `by_name`, and all of the node's own connections, whether it may read them or
    /// not. The names alone.
    secrets: BTreeSet<String>,
}

impl Capability for Settings {
    const NAME: &'static str = "config";
    const INTERFACE: &'static str = "wasi:config/store";
    type Config = Config;
    type Grant = Grant;
    type Rule = Glob;

    fn build(config: Config) -> Self {
        Self(config)
    }

    fn connections(ask: Ask<'_>) -> Vec<String> {
        let names = ask.names(Self::NAME).unwrap_or_default();
        names.iter().filter_map(|name| Some(name.rsplit_once('.')?.0.to_owned())).collect()
    }

    fn grant(&self, ask: Ask<'_>, rules: &Rules<Glob>) -> Result<Option<Grant>, Vec<AskError>> {
        let mut settings = BTreeMap::new();
        let mut errors = Vec::new();
        for name in ask.connections {
            match self.plain_fields(name) {
                Ok(fields) => {
                    let allowed = |(name, _): &(String, Field)| rules.hold(|rule| rule.covers(name));
                    settings.extend(fields.into_iter().filter(allowed));
                }
                Err(error) => errors.push(error),
            }
        }
        if ask.variables {
            let without_secret = |(name, field): (&String, &Field)| match field {
                Field::Plain(_) => Some((name.clone(), field.clone())),
                Field::Secret(_) => {
                    let connection = self.0.keys.get(name)?;
                    Some((name.clone(), Field::Plain(format!("{PLACEHOLDER}{connection}"))))
                }
            };
            let variables = self.0.environment.iter().filter_map(without_secret);
            settings.extend(variables.filter(|(name, _)| rules.hold(|rule| rule.covers(name))));
        }
        for name in ask.names(Self::NAME).map_err(|error| vec![error])? {
            errors.extend(rules.check(Self::NAME, &format!("{name:?}"), |rule| rule.covers(&name)).err());
            let field = match name.rsplit_once('.') {
                Some((connection, key)) => self.field(connection, key),
                None => self.variable(&name),
            };
            match field {
                Ok(field) => _ = settings.insert(name, field),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let own: Vec<_> = ask.connections.iter().map(|name| (*name).to_owned()).collect();
        let granted = settings.iter().filter(|(_, field)| field.secret().is_some()).map(|(name, _)| name.clone());
        let secrets = granted.chain(own.iter().flat_map(|name| self.secret_keys(name))).collect();
        Ok((!settings.is_empty() || !own.is_empty()).then_some(Grant { by_name: settings, own, secrets }))
    }

    fn rule(entry: &str) -> Result<Glob, String> {
        Glob::read(entry, "CONNECTION.KEY or VARIABLE, such as search.index or search.*")
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

    /// The names of its secrets, as settings have them.
    fn secret_keys(&self, name: &str) -> Vec<String> {
        let fields = self.0.connections.get(name).into_iter().flat_map(|connection| connection.fields());
        fields.filter(|(_, field)| field.secret().is_some()).map(|(key, _)| format!("{name}.{key}")).collect()
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
        self.by_name.get(name).map(text)
    }

    /// Whether the name is of a connection that is the node's own, of which it knows all that is no secret: a plugin asks
    /// for what may be there.
    pub fn is_of_own_connection(&self, name: &str) -> bool {
        name.rsplit_once('.').is_some_and(|(connection, _)| self.own.iter().any(|own| own == connection))
    }

    /// All settings, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.by_name.iter().map(|(name, field)| (name.as_str(), text(field)))
    }

    /// Which settings of connections are secrets, by name.
    pub fn secret_keys(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(String::as_str).filter(|name| name.contains('.'))
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
    use crate::secret::Secret;

    const CONNECTION: &str = "
name: search
type: custom
configs: {endpoint: 'https://search.example', index: books}
secrets: {token: t-1}
";

    fn settings() -> Settings {
        let files = [("search.yaml".to_owned(), CONNECTION.to_owned())];
        let (connections, _) = Connections::parse(&files, &["search"], &|_| None).expect("a connection");
        let token = Field::Secret(Secret::new("t-2".to_owned()));
        let key = Field::Secret(Secret::new("k-3".to_owned()));
        let environment = IndexMap::from([
            ("GREETING".to_owned(), Field::Plain("hi".to_owned())),
            ("TOKEN".to_owned(), token),
            ("MODEL_KEY".to_owned(), key),
        ]);
        let keys = IndexMap::from([("MODEL_KEY".to_owned(), "my_ai".to_owned())]);
        Settings::build(Config { connections, environment, keys })
    }

    #[track_caller]
    fn check(connection: Option<&str>, grant: Option<&str>, expected: &[(&str, &str)]) {
        let granted = settings()
            .grant(Ask { connections: connection.as_slice(), grant, ..Ask::default() }, &Rules::default())
            .expect("a grant")
            .unwrap_or_default();
        assert_eq!(granted.iter().collect::<Vec<_>>(), expected);
    }

    #[track_caller]
    fn check_refused(grant: &str, expected: &str) {
        let refused =
            settings().grant(Ask { grant: Some(grant), ..Ask::default() }, &Rules::default()).expect_err("a refusal");
        assert_eq!(refused.iter().map(AskError::to_string).collect::<Vec<_>>(), [expected]);
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
    fn a_node_is_told_which_settings_of_a_connection_are_secrets() {
        let secrets = |connection: Option<&str>, grant: Option<&str>| {
            let ask = Ask { connections: connection.as_slice(), grant, ..Ask::default() };
            let granted = settings().grant(ask, &Rules::default()).expect("a grant").unwrap_or_default();
            granted.secret_keys().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(secrets(None, None), [""; 0]);
        assert_eq!(secrets(Some("search"), None), ["search.token"], "also of those that it may not read");
        assert_eq!(secrets(None, Some(r#"["search.index", "search.token", "TOKEN"]"#)), ["search.token"]);
        assert_eq!(secrets(None, Some(r#"["search.index"]"#)), [""; 0]);
    }

    #[test]
    fn only_variables_are_in_the_environment() {
        let ask = Ask { connections: &["search"], grant: Some(r#"["GREETING"]"#), ..Ask::default() };
        let granted = settings().grant(ask, &Rules::default()).expect("a grant").expect("settings");
        assert_eq!(granted.variables().collect::<Vec<_>>(), [("GREETING", "hi")]);
    }

    #[test]
    fn who_is_given_the_variables_of_the_flow_is_given_no_secret_of_them() {
        let granted = |grant| {
            let ask = Ask { variables: true, grant, ..Ask::default() };
            let granted = settings().grant(ask, &Rules::default()).expect("a grant").expect("settings");
            granted.variables().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        // What stands for the key of a model's service leads a client there.
        let placeholder = "MODEL_KEY=weir-connection:my_ai";
        assert_eq!(granted(None), ["GREETING=hi", placeholder]);
        assert_eq!(granted(Some(r#"["TOKEN"]"#)), ["GREETING=hi", placeholder, "TOKEN=t-2"]);
        assert_eq!(granted(Some(r#"["MODEL_KEY"]"#)), ["GREETING=hi", "MODEL_KEY=k-3"]);
    }

    #[test]
    fn what_is_not_known_is_refused_with_what_is() {
        check_refused(
            r#"["GREETNIG"]"#,
            r#"environment variable "GREETNIG" is not known; known: GREETING, TOKEN, MODEL_KEY"#,
        );
        check_refused(r#"["serach.index"]"#, r#"connection "serach" is not known; known: offline, search"#);
        check_refused(
            r#"["search.indx"]"#,
            "grants.config: Key 'indx' not found in connection 'search'. Its keys are: endpoint, index, token",
        );
        check_refused(r#""GREETING""#, r#"grants.config: expected a list of names such as [a, b], found "GREETING""#);
    }

    #[test]
    fn the_connections_of_settings_are_loaded() {
        let ask = Ask { grant: Some(r#"["a.b.key", "GREETING"]"#), ..Ask::default() };
        assert_eq!(Settings::connections(ask), ["a.b"]);
    }

    #[test]
    fn a_secret_is_not_shown() {
        let ask = Ask { grant: Some(r#"["search.token"]"#), ..Ask::default() };
        let shown = format!("{:?}", settings().grant(ask, &Rules::default()));
        assert!(shown.contains("******") && !shown.contains("t-1"), "{shown}");
    }
}

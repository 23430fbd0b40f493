//! What the entry of a flex flow is initialised with: `init` of its file, completed by whoever starts it. Not how the
//! entry comes to see it: that is `context.init` of wit/.

use indexmap::IndexMap;

use super::describe::Ports;
use super::problem::listed;
use super::types::Type;
use super::value::Json;

/// The values an entry may be initialised with.
#[derive(Clone, Debug, Default)]
pub struct Init {
    pub(super) declared: IndexMap<String, InitInput>,
    /// `sample.init`, which prompt flow takes for real when it serves.
    pub(super) sample: IndexMap<String, Json>,
    described: Option<Ports>,
}

/// One of them, as the file declares it.
#[derive(Clone, Debug, Default)]
pub(super) struct InitInput {
    pub(super) kind: InitKind,
    pub(super) default: Option<Json>,
    /// Whether the file says that the entry has a default of its own.
    pub(super) is_optional: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum InitKind {
    #[default]
    Anything,
    A(Type),
    /// The name of a connection.
    Connection,
    /// An object that names a connection, and a model.
    ModelConfiguration,
}

/// What the entry is initialised with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// One JSON object.
    pub values: Json,
    /// The connections that are named in it, which the entry may use.
    pub connections: Vec<String>,
}

/// Why an entry cannot be initialised. Never repeats a value: it may be a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InitError {
    #[error("PF_FLOW_INIT_CONFIG: expected one JSON object of init values by name: {0}")]
    Config(String),
    #[error("{origin}: the flow has no init value {name:?}; init values are: {known}")]
    Unknown { origin: &'static str, name: String, known: String },
    #[error("init value {name:?} is not of type {expected}")]
    Type { name: String, expected: String },
    #[error(
        "init value {0:?} is missing; give it by `--init {0}=VALUE`, in PF_FLOW_INIT_CONFIG, or as `default` in the flow file"
    )]
    Missing(String),
    #[error(
        "init value {0:?}: a model configuration has to name a connection (`connection: NAME`); keys and addresses stay \
         in the host"
    )]
    NoConnection(String),
}

impl InitError {
    /// Prompt flow's name of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(_) => "InvalidFlowInitConfig",
            _ => "FlowEntryInitializationError",
        }
    }
}

impl InitKind {
    /// As a flow file writes it. None: no such type.
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "AzureOpenAIModelConfiguration" | "OpenAIModelConfiguration" => Some(Self::ModelConfiguration),
            _ if name.ends_with("Connection") => Some(Self::Connection),
            _ => Type::parse(name).map(Self::A),
        }
    }
}

impl Init {
    /// The values that the file declares, by name.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.declared.keys().map(String::as_str)
    }

    /// What the entry itself says it takes.
    pub(super) fn described(&mut self, ports: Option<Ports>) {
        self.described = ports;
    }

    /// The values, of which the first that is there counts: `command_line` (`--init NAME=VALUE`), `config`
    /// (`PF_FLOW_INIT_CONFIG`), `sample.init` of the file, the default of the file. What none of them gives is left to
    /// the entry.
    ///
    /// # Errors
    /// All that is missing, unknown or of a wrong type.
    pub fn resolve(
        &self,
        command_line: &IndexMap<String, String>,
        config: Option<&str>,
    ) -> Result<Resolved, Vec<InitError>> {
        let mut errors = Vec::new();
        let config = config.map(members).transpose().unwrap_or_else(|error| {
            errors.push(error);
            None
        });
        let mut given: IndexMap<String, Json> = IndexMap::new();
        for (name, text) in command_line {
            self.check_name("--init", name, &mut errors);
            given.insert(name.clone(), self.read_text(name, text));
        }
        for (name, value) in config.unwrap_or_default() {
            self.check_name("PF_FLOW_INIT_CONFIG", &name, &mut errors);
            given.entry(name).or_insert(value);
        }
        let defaults = self.declared.iter().filter_map(|(name, input)| Some((name, input.default.as_ref()?)));
        for (name, value) in self.sample.iter().chain(defaults) {
            given.entry(name.clone()).or_insert_with(|| value.clone());
        }
        self.check_missing(&given, &mut errors);
        let mut connections = Vec::new();
        for (name, value) in &mut given {
            match self.fit(name, value, &mut connections) {
                Ok(fitting) => *value = fitting,
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let values = Json::object(given.iter().map(|(name, value)| (name.as_str(), value)));
        Ok(Resolved { values, connections })
    }

    fn check_name(&self, origin: &'static str, name: &str, errors: &mut Vec<InitError>) {
        let described = self.described.as_ref();
        let free = self.declared.is_empty() && described.is_none_or(|ports| ports.open);
        if free || self.declared.contains_key(name) || described.is_some_and(|ports| ports.get(name).is_some()) {
            return;
        }
        let known = self.declared.keys().map(String::as_str).chain(described.into_iter().flat_map(Ports::names));
        let mut known: Vec<_> = known.collect();
        known.dedup();
        errors.push(InitError::Unknown { origin, name: name.to_owned(), known: listed(known) });
    }

    /// Required is what the entry says; if it says nothing, what the file declares without a default.
    fn check_missing(&self, given: &IndexMap<String, Json>, errors: &mut Vec<InitError>) {
        let required: Vec<&str> = match &self.described {
            Some(ports) => ports.required().collect(),
            None => {
                let needed = self.declared.iter().filter(|(_, input)| !input.is_optional);
                needed.map(|(name, _)| name.as_str()).collect()
            }
        };
        let missing = required.into_iter().filter(|name| !given.contains_key(*name));
        errors.extend(missing.map(|name| InitError::Missing(name.to_owned())));
    }

    /// A text of the command line. Where nobody says what it should be, it is text.
    fn read_text(&self, name: &str, text: &str) -> Json {
        let as_json = || Json::parse(text).unwrap_or_else(|_| Json::string(text));
        match self.declared.get(name).map(|input| input.kind) {
            Some(InitKind::ModelConfiguration) => as_json(),
            Some(InitKind::A(_) | InitKind::Connection) => Json::string(text),
            Some(InitKind::Anything) | None => {
                let described = self.described.as_ref().and_then(|ports| ports.get(name));
                match described.and_then(|port| port.one_type()) {
                    Some("string") | None => Json::string(text),
                    Some(_) => as_json(),
                }
            }
        }
    }

    fn fit(&self, name: &str, value: &Json, connections: &mut Vec<String>) -> Result<Json, InitError> {
        let wrong = |expected: String| InitError::Type { name: name.to_owned(), expected };
        let kind = self.declared.get(name).map_or(InitKind::Anything, |input| input.kind);
        let fitting = match kind {
            InitKind::Anything => value.clone(),
            InitKind::A(kind) => kind.coerce(name, value).map_err(|_| wrong(kind.name().to_owned()))?,
            InitKind::Connection => {
                connections.push(value.as_text().ok_or_else(|| wrong("connection, by its name".to_owned()))?);
                value.clone()
            }
            InitKind::ModelConfiguration => {
                let members = value.members().ok_or_else(|| wrong("model configuration, an object".to_owned()))?;
                let connection = members.get("connection").and_then(Json::as_text);
                connections.push(connection.ok_or_else(|| InitError::NoConnection(name.to_owned()))?);
                value.clone()
            }
        };
        match self.described.as_ref().and_then(|ports| ports.get(name)) {
            Some(port) if !port.takes(&fitting) => Err(wrong(port.to_string())),
            _ => Ok(fitting),
        }
    }
}

fn members(config: &str) -> Result<IndexMap<String, Json>, InitError> {
    let json = Json::parse(config).map_err(|error| InitError::Config(error.to_string()))?;
    json.members().ok_or_else(|| InitError::Config("it is no object".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::describe::Description;
    use super::*;

    fn init() -> Init {
        let input = |kind, default: Option<&str>| InitInput {
            kind: InitKind::parse(kind).unwrap(),
            default: default.map(|text| Json::parse(text).unwrap()),
            is_optional: false,
        };
        Init {
            declared: [
                ("n", input("int", Some("1"))),
                ("con", input("AzureOpenAIConnection", Some("\"offline\""))),
                ("text", input("string", Some("\"yaml\""))),
            ]
            .into_iter()
            .map(|(name, input)| (name.to_owned(), input))
            .collect(),
            sample: IndexMap::from([("text".to_owned(), Json::string("sample"))]),
            described: None,
        }
    }

    fn given(pairs: &[(&str, &str)]) -> IndexMap<String, String> {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[track_caller]
    fn check(init: &Init, command_line: &[(&str, &str)], config: Option<&str>, expected: &str) {
        let found = match init.resolve(&given(command_line), config) {
            Ok(resolved) => resolved.values.to_string(),
            Err(errors) => errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn the_nearest_to_the_operator_wins() {
        let init = init();
        check(&init, &[], None, r#"{"text":"sample","n":1,"con":"offline"}"#);
        check(&init, &[], Some(r#"{"text":"env","n":"2"}"#), r#"{"text":"env","n":2,"con":"offline"}"#);
        check(&init, &[("n", "3")], Some(r#"{"n":2}"#), r#"{"n":3,"text":"sample","con":"offline"}"#);
        let resolved = init.resolve(&given(&[("con", "mine")]), None).unwrap();
        assert_eq!(resolved.connections, ["mine"]);
    }

    #[test]
    fn what_does_not_fit_is_told_at_once_and_never_repeated() {
        check(
            &init(),
            &[("n", "s3cret"), ("m", "1")],
            Some("[5]"),
            "PF_FLOW_INIT_CONFIG: expected one JSON object of init values by name: it is no object\n\
             --init: the flow has no init value \"m\"; init values are: n, con, text\n\
             init value \"n\" is not of type int",
        );
    }

    #[test]
    fn what_the_entry_says_decides_what_must_be_given() {
        let ports = Description::parse(
            r#"{"init":{"required":["size"],"properties":{"size":{"type":"integer"},"name":{"type":"string"}}}}"#,
        );
        let mut init = Init::default();
        init.described(ports.init);
        check(&init, &[("size", "5"), ("name", "5")], None, r#"{"size":5,"name":"5"}"#);
        check(
            &init,
            &[],
            None,
            "init value \"size\" is missing; give it by `--init size=VALUE`, in PF_FLOW_INIT_CONFIG, or as `default` in \
             the flow file",
        );
        check(&init, &[("size", "big")], None, "init value \"size\" is not of type integer");
    }

    #[test]
    fn a_model_configuration_has_to_name_a_connection() {
        let input = InitInput { kind: InitKind::ModelConfiguration, ..InitInput::default() };
        let init = Init { declared: IndexMap::from([("m".to_owned(), input)]), ..Init::default() };
        let resolved = init.resolve(&given(&[("m", r#"{"connection":"c","model":"gpt"}"#)]), None).unwrap();
        assert_eq!(resolved.connections, ["c"]);
        assert_eq!(
            init.resolve(&given(&[("m", r#"{"api_key":"k"}"#)]), None),
            Err(vec![InitError::NoConnection("m".to_owned())])
        );
    }
}

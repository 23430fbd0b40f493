//! A connection as JSON, in the two forms that prompt flow hands to a server: its own "execution form", and the
//! resource of an Azure Machine Learning workspace. Pure: a value in, a draft or problems out.
//!
//! No problem quotes a value: it may be a secret.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::draft::Draft;
use super::kind::{API_KEY, AUTH_MODE, CUSTOM_TYPE, MEID_TOKEN};
use super::{Kind, Problem};

/// What the keys begin with that describe the class of a `custom` connection among its values.
const CUSTOM_PREFIX: &str = "promptflow.connection.";

/// What the metadata of a workspace's connection begins with where prompt flow has written it.
const FLOW_PREFIX: &str = "azureml.flow.";

/// The draft of the connection `name`.
///
/// `value` is `{"type": CLASS, "module", "value": {…}, "secret_keys": […]}`, or the resource of a workspace, which has
/// `properties`.
pub(super) fn draft(name: &str, origin: &str, value: &Value) -> Result<Draft, Problem> {
    let problem = |what: &str| Problem::new(origin, what);
    let Some(object) = value.as_object() else {
        return Err(problem("expected an object with `type` and `value`"));
    };
    match object.get("properties") {
        Some(Value::Object(properties)) => Resource { name, origin, properties }.draft(),
        Some(_) => Err(problem("properties: expected an object")),
        None => execution(name, origin, object),
    }
}

fn execution(name: &str, origin: &str, object: &Map<String, Value>) -> Result<Draft, Problem> {
    let problem = |what: String| Problem::new(origin, what);
    let class = object.get("type").and_then(Value::as_str).unwrap_or_default();
    let module = object.get("module").and_then(Value::as_str).unwrap_or_default();
    let Some(values) = object.get("value").and_then(Value::as_object) else {
        return Err(problem("value: expected an object with the keys of the connection".to_owned()));
    };
    let is_own = !module.is_empty() && !module.starts_with("promptflow.");
    match Kind::of_class(class) {
        Some(Kind::Custom) => Ok(custom(Draft::new(name, origin, Kind::Custom), values, object.get("secret_keys"))),
        Some(kind) => {
            let mut draft = Draft::new(name, origin, kind);
            draft.fields = values.iter().filter_map(text).collect();
            Ok(draft)
        }
        None if is_own => {
            let mut draft = Draft::new(name, origin, Kind::Custom);
            draft.fields.insert(CUSTOM_TYPE.to_owned(), class.to_owned());
            Ok(custom(draft, values, object.get("secret_keys")))
        }
        None => Err(problem(unknown_class(class))),
    }
}

fn unknown_class(class: &str) -> String {
    let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.class_name()).collect();
    format!("type: {class:?} is unknown; types are: {}", known.join(", "))
}

/// Fills a `custom` draft. Who does not say which of the values are secret has only secrets.
fn custom(mut draft: Draft, values: &Map<String, Value>, secret_keys: Option<&Value>) -> Draft {
    let secret_keys: Option<Vec<&str>> =
        secret_keys.and_then(Value::as_array).map(|keys| keys.iter().filter_map(Value::as_str).collect());
    for (key, value) in values.iter().filter_map(text) {
        let is_secret = secret_keys.as_ref().is_none_or(|keys| keys.contains(&key.as_str()));
        if let Some(key) = key.strip_prefix(CUSTOM_PREFIX) {
            draft.fields.insert(key.to_owned(), value);
        } else if is_secret {
            draft.secrets.insert(key, value);
        } else {
            draft.configs.insert(key, value);
        }
    }
    draft
}

/// A key and its value as text; none for null, which counts as absent.
fn text((key, value): (&String, &Value)) -> Option<(String, String)> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Some((key.clone(), text))
}

/// A connection of a workspace, as its listing with secrets has it. Azure writes it into a variable of a deployment for
/// `${{azureml://connections/NAME}}`.
struct Resource<'a> {
    name: &'a str,
    origin: &'a str,
    properties: &'a Map<String, Value>,
}

impl Resource<'_> {
    fn draft(&self) -> Result<Draft, Problem> {
        let category = self.text("category").unwrap_or_default();
        let class = self.class(category)?;
        let kind = Kind::of_class(&class);
        if category == "CustomKeys" {
            return Ok(self.keys(&class, kind));
        }
        let (Some(kind), Some(address)) = (kind, address_key(category)) else {
            return Err(
                self.problem(format!("properties.category: {category:?} leads to no connection of prompt flow"))
            );
        };
        let mut draft = Draft::new(self.name, self.origin, kind);
        let mut insert = |key: &str, value: Option<&str>| {
            let known = kind.keys().iter().any(|known| known.name == key);
            let value = value.filter(|value| known && !value.is_empty());
            draft.fields.extend(value.map(|value| (key.to_owned(), value.to_owned())));
        };
        insert(address, self.text("target"));
        insert("api_type", self.metadata("ApiType"));
        insert("api_version", self.metadata("ApiVersion"));
        insert("resource_id", self.metadata("ResourceId"));
        match self.text("authType").unwrap_or_default().to_ascii_lowercase().as_str() {
            "apikey" => {
                let credentials = self.properties.get("credentials");
                insert(API_KEY, credentials.and_then(|credentials| credentials.get("key")?.as_str()));
            }
            "aad" => insert(AUTH_MODE, Some(MEID_TOKEN)),
            other => return Err(self.problem(format!("properties.authType: {other:?}; expected ApiKey or AAD"))),
        }
        Ok(draft)
    }

    /// A connection whose keys are free: secrets are among the credentials, the rest among the metadata.
    fn keys(&self, class: &str, kind: Option<Kind>) -> Draft {
        let mut draft = Draft::new(self.name, self.origin, kind.unwrap_or(Kind::Custom));
        let object = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
        let credentials = object(self.properties.get("credentials").and_then(|credentials| credentials.get("keys")));
        let secrets: IndexMap<_, _> = credentials.iter().filter_map(text).collect();
        let metadata = object(self.properties.get("metadata"));
        let configs = metadata.iter().filter(|(key, _)| !key.starts_with(FLOW_PREFIX)).filter_map(text);
        if draft.kind == Kind::Custom {
            (draft.secrets, draft.configs) = (secrets, configs.collect());
            if kind.is_none() {
                draft.fields.insert(CUSTOM_TYPE.to_owned(), class.to_owned());
            }
        } else {
            draft.fields = configs.chain(secrets).collect();
        }
        draft
    }

    /// The class: prompt flow's own note, else what the category means.
    fn class(&self, category: &str) -> Result<String, Problem> {
        let noted = self.metadata(&format!("{FLOW_PREFIX}connection_type"));
        let name = match (noted, category, self.metadata("Kind")) {
            (Some(noted), ..) => noted,
            (None, "AzureOpenAI" | "CognitiveSearch" | "Serverless", _) => category,
            (None, "CognitiveService", Some("Content Safety")) => "AzureContentSafety",
            (None, "CognitiveService", Some("Form Recognizer")) => "FormRecognizer",
            _ => {
                let what = format!("properties.category: {category:?} leads to no connection of prompt flow");
                return Err(self.problem(what));
            }
        };
        Ok(if name.ends_with("Connection") { name.to_owned() } else { format!("{name}Connection") })
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.properties.get(key).and_then(Value::as_str)
    }

    /// Of the metadata, whose keys come in any case.
    fn metadata(&self, key: &str) -> Option<&str> {
        let metadata = self.properties.get("metadata").and_then(Value::as_object)?;
        metadata.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).and_then(|(_, value)| value.as_str())
    }

    fn problem(&self, what: String) -> Problem {
        Problem::new(self.origin, what)
    }
}

/// The key that holds the `target` of a category.
fn address_key(category: &str) -> Option<&'static str> {
    match category {
        "AzureOpenAI" | "CognitiveSearch" | "Serverless" => Some("api_base"),
        "CognitiveService" => Some("endpoint"),
        _ => None,
    }
}

//! A connection as it is written, before its values are completed.

use std::fmt;

use indexmap::IndexMap;

use super::{Kind, Problem};

/// A connection with its values as they stand in a file or a variable.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) origin: String,
    pub(super) kind: Kind,
    pub(super) fields: IndexMap<String, String>,
    /// What a `custom` connection shows.
    pub(super) configs: IndexMap<String, String>,
    /// What a `custom` connection hides.
    pub(super) secrets: IndexMap<String, String>,
}

/// Without values: any of them may be a secret.
impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, origin, kind, .. } = self;
        f.debug_struct("Draft").field("name", name).field("origin", origin).field("kind", kind).finish_non_exhaustive()
    }
}

impl Draft {
    pub(super) fn new(name: impl Into<String>, origin: impl Into<String>, kind: Kind) -> Self {
        let (fields, configs, secrets) = (IndexMap::new(), IndexMap::new(), IndexMap::new());
        Self { name: name.into(), origin: origin.into(), kind, fields, configs, secrets }
    }

    /// A warning for each key that the type does not have.
    pub(super) fn unknown_keys(&self) -> Vec<Problem> {
        let known = |name: &str| self.kind.keys().iter().any(|key| key.name == name);
        let custom = self.kind == Kind::Custom;
        let groups = [("configs", &self.configs), ("secrets", &self.secrets)];
        let groups = groups.into_iter().filter(|(_, group)| !custom && !group.is_empty()).map(|(name, _)| name);
        let keys = self.fields.keys().map(String::as_str).filter(|name| !known(name));
        keys.chain(groups).map(|key| self.unknown_key(key)).collect()
    }

    fn unknown_key(&self, key: &str) -> Problem {
        let known: Vec<_> = self.kind.keys().iter().map(|key| key.name).collect();
        let known = match (self.kind, known.as_slice()) {
            (Kind::Custom, _) => "values go under `configs` or `secrets`".to_owned(),
            (kind, []) => format!("type {} has no keys", kind.type_name()),
            (kind, known) => format!("keys of type {} are: {}", kind.type_name(), known.join(", ")),
        };
        Problem::new(&self.origin, format!("{key}: is unknown and has no effect; {known}"))
    }
}

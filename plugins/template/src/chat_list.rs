//! A list that prints one element per line.

use std::fmt;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr, Serde};
use serde_json::Value as Json;

use crate::python;

/// What prompt flow calls `ChatInputList`: a list in all but how it prints.
#[derive(Debug)]
pub(crate) struct ChatList(Vec<Value>);

/// The value with every list in it a [`ChatList`].
pub(crate) fn value(json: &Json) -> Value {
    match json {
        Json::Array(items) => Value::from_object(ChatList(items.iter().map(value).collect())),
        Json::Object(entries) => Value::from_pairs(entries.iter().map(|(key, item)| (key.clone(), value(item)))),
        scalar => Serde(scalar).into(),
    }
}

impl ChatList {
    pub(crate) fn items(&self) -> &[Value] {
        &self.0
    }
}

impl Object for ChatList {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.0.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(python::str).collect();
        f.write_str(&lines.join("\n"))
    }
}

//! A caller's text cannot open a message: `system:` on a line of its own in a value stays text.
//!
//! Role words that stand so in the values of the named inputs are replaced by random ids before the template is
//! rendered, and put back when the messages are parsed. Prompt flow does the same, with two gaps that are closed here:
//! it looks into lists only for Azure OpenAI, and it misses a role at the end of a value, where the template brings the
//! line break. It also replaces the word everywhere once it was found; here only where it stands as a role, so that
//! templates that compare roles keep working.

use std::hash::{BuildHasher, RandomState};

use serde_json::{Map, Value};

use crate::markup::roles;

/// What was replaced.
pub(crate) struct Guard {
    /// The id and the word, as the caller wrote it.
    replaced: Vec<(String, String)>,
    random: RandomState,
}

impl Guard {
    /// Replaces the role words in the variables of these names.
    pub(crate) fn over(variables: &mut Map<String, Value>, names: &[String]) -> Self {
        let mut guard = Self { replaced: Vec::new(), random: RandomState::new() };
        for name in names {
            if let Some(value) = variables.get_mut(name) {
                guard.replace(value);
            }
        }
        guard
    }

    /// Replaces the role words of callers' texts where a prompt quotes them: in the variables named, only within those
    /// texts. A prompt that changed a text before it wrote it (more than by trimming it) is taken as its author's.
    pub(crate) fn within(&mut self, variables: &mut Map<String, Value>, quoted: &Map<String, Value>) {
        for (name, texts) in quoted {
            let Some(Value::String(variable)) = variables.get_mut(name) else { continue };
            for text in leaves(texts) {
                let mut guarded = Value::from(text);
                self.replace(&mut guarded);
                if let Value::String(guarded) = guarded
                    && guarded != text
                {
                    *variable = variable.replace(text, &guarded);
                    *variable = variable.replace(roles::trim(text), roles::trim(&guarded));
                }
            }
        }
    }

    /// A message with the words put back.
    pub(crate) fn restore(&self, mut message: Value) -> Value {
        if !self.replaced.is_empty() {
            each_text(&mut message, &mut |text| *text = self.restore_text(std::mem::take(text)));
        }
        message
    }

    /// A text with the words put back.
    pub(crate) fn restore_text(&self, text: String) -> String {
        self.replaced.iter().fold(text, |text, (id, word)| text.replace(id, word))
    }

    fn replace(&mut self, value: &mut Value) {
        each_text(value, &mut |text| {
            // From the end, so that the places found before stay right.
            for place in roles::words(text).into_iter().rev() {
                let id = self.id(&text[place.clone()]);
                text.replace_range(place, &id);
            }
        });
    }

    fn id(&mut self, word: &str) -> String {
        if let Some((id, _)) = self.replaced.iter().find(|(_, known)| known == word) {
            return id.clone();
        }
        let id = random_id(&self.random, self.replaced.len());
        self.replaced.push((id.clone(), word.to_owned()));
        id
    }
}

/// 128 bits that a caller cannot guess: the hasher's keys are the host's (`wasi:random/insecure-seed`, which wasmtime
/// draws from its secure generator for each store), and nothing made with them leaves the run.
pub(crate) fn random_id(random: &RandomState, number: usize) -> String {
    format!("{:016x}{:016x}", random.hash_one((number, "high")), random.hash_one((number, "low")))
}

/// All texts of a value, however deep.
fn leaves(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        Value::Object(entries) => entries.values().flat_map(leaves).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

fn each_text(value: &mut Value, change: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, change)),
        Value::Object(entries) => entries.values_mut().for_each(|item| each_text(item, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

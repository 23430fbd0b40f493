//! A caller's text cannot open a message: `system:` on a line of its own in a value stays text.
//!
//! Role words that stand so in a caller's texts are replaced by random numbers before the template is rendered, and put
//! back when the messages are parsed. Prompt flow does the same, with gaps that are closed here: it looks into lists
//! only for Azure OpenAI, into keys never, and it misses a role at the end of a value, where the template brings the
//! line break. It also replaces the word everywhere once it was found; here only where it stands as a role, so that
//! templates that compare roles keep working. A number of digits passes through filters that change letters; a filter
//! that changes digits leaves a number in the text, and still no role.
//!
//! The output of a prompt node comes as text, without marks. There the callers' texts are looked for: see
//! [`Guard::within`], which says what that can miss.

use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::ops::Range;

use serde_json::{Map, Value};

use crate::markup::roles;

/// How much of what follows a role tells that it is a caller's, in letters and digits. Enough to tell apart two
/// messages of one prompt, and little enough to stand before most of what a filter cuts off or changes.
const TELLING: usize = 24;

/// What was replaced.
pub(crate) struct Guard {
    /// The number and the word, as the caller wrote it.
    replaced: Vec<(String, String)>,
    random: RandomState,
}

impl Guard {
    /// Replaces the role words in these values.
    pub(crate) fn over<'a>(values: impl Iterator<Item = &'a mut Value>) -> Self {
        let mut guard = Self { replaced: Vec::new(), random: RandomState::new() };
        values.for_each(|value| each_text(value, &mut |text| guard.replace(text, roles::words(text))));
        guard
    }

    /// Replaces the role words of callers' texts where a prompt quotes them: in the variables named, only within those
    /// texts.
    ///
    /// A text that is quoted as it is, or trimmed, is found by itself. Of a text that the prompt's template changed more
    /// (by `upper`, `replace`, `indent`, `truncate`), each role is looked for by the letters and digits that follow it.
    /// In doubt a role is taken for the caller's: who writes the very words of the flow's author can make the author's
    /// message a text, but none of his own a message. What stays open is a template that makes a role of a text that is
    /// none, such as `{{a}}:`, or that changes the words behind a role beyond recognition.
    pub(crate) fn within(&mut self, variables: &mut Map<String, Value>, quoted: &Map<String, Value>) {
        for (name, texts) in quoted {
            let Some(Value::String(variable)) = variables.get_mut(name) else { continue };
            for text in leaves(texts).into_iter().filter(|text| !roles::words(text).is_empty()) {
                if variable.contains(roles::trim(text)) {
                    let mut guarded = text.to_owned();
                    self.replace(&mut guarded, roles::words(text));
                    *variable = variable.replace(text, &guarded);
                    *variable = variable.replace(roles::trim(text), roles::trim(&guarded));
                } else {
                    let told: Vec<String> = roles::words(text).into_iter().map(|word| telling(text, &word)).collect();
                    let is_told = |word: &Range<usize>| {
                        let found = telling(variable, word);
                        told.iter().any(|told| found.starts_with(&**told) || told.starts_with(&found))
                    };
                    let words = roles::words(variable).into_iter().filter(is_told).collect();
                    self.replace(variable, words);
                }
            }
        }
    }

    /// A message with the words put back.
    pub(crate) fn restore(&self, mut message: Value) -> Value {
        if !self.replaced.is_empty() {
            each_text(&mut message, &mut |text| *text = self.restore_text(mem::take(text)));
        }
        message
    }

    /// A text with the words put back.
    pub(crate) fn restore_text(&self, text: String) -> String {
        self.replaced.iter().fold(text, |text, (number, word)| text.replace(number, word))
    }

    fn replace(&mut self, text: &mut String, words: Vec<Range<usize>>) {
        // From the end, so that the places found before stay right.
        for place in words.into_iter().rev() {
            let number = self.number(&text[place.clone()]);
            text.replace_range(place, &number);
        }
    }

    fn number(&mut self, word: &str) -> String {
        if let Some((number, _)) = self.replaced.iter().find(|(_, known)| known == word) {
            return number.clone();
        }
        let number = random_number(&self.random, self.replaced.len());
        self.replaced.push((number.clone(), word.to_owned()));
        number
    }
}

/// 128 bits that a caller cannot guess: the hasher's keys are the host's (`wasi:random/insecure-seed`, which wasmtime
/// draws from its secure generator for each store), and nothing made with them leaves the run.
pub(crate) fn random_number(random: &RandomState, index: usize) -> String {
    format!("{:020}{:020}", random.hash_one((index, "high")), random.hash_one((index, "low")))
}

/// A role and what follows it, as letters and digits in lower case.
fn telling(text: &str, word: &Range<usize>) -> String {
    text[word.start..]
        .chars()
        .filter(|sign| sign.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .take(TELLING)
        .collect()
}

/// All texts of a value, however deep.
fn leaves(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        Value::Object(entries) => {
            entries.iter().flat_map(|(key, item)| [vec![key.as_str()], leaves(item)].concat()).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

fn each_text(value: &mut Value, change: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, change)),
        Value::Object(entries) => {
            let changed = mem::take(entries).into_iter().map(|(mut key, mut item)| {
                change(&mut key);
                each_text(&mut item, change);
                (key, item)
            });
            *entries = changed.collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

//! A caller's text cannot open a message, nor give one a heading: `system:` on a line of its own in a value stays text, and
//! so does `## name:`.
//!
//! Role words that stand so in a caller's texts, and words of headings, are replaced by random numbers before the template is
//! rendered, and put back when the messages are parsed. Prompt flow does the same, with gaps that are closed here: it looks
//! into lists only for Azure OpenAI, into keys never, and it misses a role at the end of a value, where the template brings
//! the line break; and it leaves headings, so that a caller could drop what the author has written before them. It also
//! replaces the word everywhere once it was found; here only where it stands as a role, so that templates that compare roles
//! keep working. A number of digits passes through filters that change letters; a filter that changes digits leaves a number
//! in the text, and still no role.

use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::ops::Range;

use serde_json::Value;
use weir_sdk::NodeError;

use crate::markup::{headings, roles};

/// What was replaced.
pub(crate) struct Guard {
    /// The number and the word, as the caller wrote it.
    replaced: Vec<(String, String)>,
    random: RandomState,
}

impl Guard {
    pub(crate) fn new() -> Self {
        Self { replaced: Vec::new(), random: RandomState::new() }
    }

    /// Replaces the words of roles and headings in these values. Whether there were any.
    pub(crate) fn mark<'a>(&mut self, values: impl Iterator<Item = &'a mut Value>) -> bool {
        let mut any = false;
        values.for_each(|value| {
            each_text(value, &mut |text| {
                for find in [roles::words, headings::words] {
                    let words = find(text);
                    any |= !words.is_empty();
                    self.replace(text, words);
                }
            });
        });
        any
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

    /// An error with the words put back in its message.
    pub(crate) fn restore_error(&self, error: NodeError) -> NodeError {
        NodeError { message: self.restore_text(error.message), ..error }
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

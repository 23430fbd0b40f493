//! Counts what a call of a model costs against the budget of its request, however the call ends.
//!
//! What it costs, the service says, if it does and if somebody reads so far. Else it is estimated: a node that opens
//! streams and drops them spends all the same.

use std::sync::Arc;

use super::backend::{ChatEvent, Usage};
use crate::boundary::Pass;
use crate::boundary::budget::{Budget, Spent};
use crate::boundary::error::{CallError, CallErrorKind};
use crate::boundary::facts::Unasked;

/// Bytes of text to a token: what OpenAI names for English. Other languages have fewer, and are estimated too low.
const BYTES_PER_TOKEN: u64 = 4;

/// How an image begins that travels within a message. Its bytes are no text, and cost a small part of what text would.
const IMAGE: &str = "data:image/";

/// One call that is being made.
#[derive(Debug)]
pub(super) struct Meter {
    budget: Arc<Budget>,
    /// What the question has, in bytes.
    asked: u64,
    /// What has been answered so far, in bytes.
    answered: u64,
    /// What the service said.
    usage: Option<Usage>,
    /// It took the question.
    accepted: bool,
}

impl Meter {
    /// Counts the call.
    ///
    /// # Errors
    /// The request has nothing left to spend.
    pub(super) fn start(pass: &Pass, connection: &str, question: &str) -> Result<Self, CallError> {
        let budget = pass.origin.budget.clone();
        budget.call().map_err(|spent| {
            let why = match spent {
                Spent::Calls(_) => Unasked::CallBudget,
                Spent::Tokens(_) => Unasked::TokenBudget,
            };
            pass.tries.unasked(connection, why);
            CallError::new(CallErrorKind::Exhausted, spent.to_string())
        })?;
        Ok(Self { budget, asked: text_bytes(question), answered: 0, usage: None, accepted: false })
    }

    /// The service has answered; whole, if it says what that cost.
    pub(super) fn answered(&mut self, text: &str, usage: Option<Usage>) {
        self.accepted = true;
        self.answered = self.answered.saturating_add(text.len() as u64);
        self.usage = usage.or(self.usage);
    }

    /// The service has begun to answer, and says this.
    pub(super) fn event(&mut self, event: &ChatEvent) {
        match event {
            ChatEvent::Began { .. } => {}
            ChatEvent::Delta(delta) => self.answered(&delta.delta, None),
            ChatEvent::Usage(usage) => self.answered("", Some(*usage)),
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let estimated = self.asked.saturating_add(self.answered) / BYTES_PER_TOKEN;
        let tokens = self.usage.map_or(estimated, |usage| usage.total_tokens);
        if self.accepted {
            self.budget.spend(tokens);
        }
    }
}

/// The bytes of a text without the images in it.
fn text_bytes(text: &str) -> u64 {
    let mut pieces = text.split(IMAGE);
    let first = pieces.next().map_or(0, str::len);
    let rest = pieces.map(|piece| piece.len() - piece.find('"').unwrap_or(piece.len()));
    rest.fold(first as u64, |sum, bytes| sum.saturating_add(bytes as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boundary::budget::Limits;

    /// What is left of 100 tokens, in calls of one, after a call that went so.
    #[track_caller]
    fn check(question: &str, went: impl FnOnce(&mut Meter), spent: u64) {
        let budget = Arc::new(Budget::new(Limits { calls: 1000, tokens: 100 }));
        let mut meter =
            Meter { budget: budget.clone(), asked: text_bytes(question), answered: 0, usage: None, accepted: false };
        went(&mut meter);
        drop(meter);
        let left = std::iter::from_fn(|| budget.call().is_ok().then(|| budget.spend(1))).count() as u64;
        assert_eq!(100 - left, spent);
    }

    #[test]
    fn what_the_service_says_counts() {
        let usage = Usage { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 };
        check("a long question", |meter| meter.answered("an answer", Some(usage)), 7);
        check("a long question", |meter| meter.event(&ChatEvent::Usage(usage)), 7);
    }

    #[test]
    fn what_it_does_not_say_is_estimated() {
        check("12345678", |meter| meter.answered("1234", None), 3);
        let delta = crate::capability::llm::backend::ChatDelta {
            content: "hi".to_owned(),
            delta: "12345678".to_owned(),
            finish_reason: None,
        };
        check("1234", |meter| (0..3).for_each(|_| meter.event(&ChatEvent::Delta(delta.clone()))), 7);
    }

    #[test]
    fn images_are_no_text() {
        let image = format!(r#"["1234", "{IMAGE}png;base64,{}", "5678"]"#, "A".repeat(4000));
        check(&image, |meter| meter.answered("", None), 5);
    }

    #[test]
    fn what_was_not_accepted_costs_nothing() {
        check("12345678", |_| {}, 0);
    }
}

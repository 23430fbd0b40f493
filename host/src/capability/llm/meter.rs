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
/// What stands between its type and its data.
const BASE64: &str = ";base64,";
/// Longest name of a type of images that is taken for one, in bytes: `vnd.adobe.photoshop` has 19.
const MAX_TYPE: usize = 64;
/// The most that an image counts, in bytes of text: a thousand tokens, which is what services count for a large one.
const MAX_IMAGE: usize = 4096;

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
    /// It has begun to answer.
    began: bool,
    /// It has not worked on the question.
    refused: bool,
}

impl Meter {
    /// Counts the call, of these texts.
    ///
    /// # Errors
    /// The request has nothing left to spend.
    pub(super) fn start<'a>(
        pass: &Pass,
        connection: &str,
        question: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, CallError> {
        let budget = pass.origin.budget.clone();
        budget.call().map_err(|spent| {
            let why = match spent {
                Spent::Calls(_) => Unasked::CallBudget,
                Spent::Tokens(_) => Unasked::TokenBudget,
            };
            pass.tries.unasked(connection, why);
            CallError::new(CallErrorKind::Exhausted, spent.to_string())
        })?;
        Ok(Self::new(budget, question))
    }

    fn new<'a>(budget: Arc<Budget>, question: impl IntoIterator<Item = &'a str>) -> Self {
        let asked = question.into_iter().map(text_bytes).fold(0, u64::saturating_add);
        Self { budget, asked, answered: 0, usage: None, began: false, refused: false }
    }

    /// The service has answered; whole, if it says what that cost.
    pub(super) fn answered(&mut self, text: &str, usage: Option<Usage>) {
        self.began = true;
        self.answered = self.answered.saturating_add(text.len() as u64);
        self.usage = usage.or(self.usage);
    }

    /// The call has failed. It is free if the service has refused it, or could not be asked; a service that was out of time,
    /// or whose answer was not to be used, has worked on it, and a node can see to it that it always ends so.
    pub(super) fn failed(&mut self, error: &CallError) {
        self.refused = !self.began
            && match error.kind {
                CallErrorKind::Timeout | CallErrorKind::Protocol => error.status.is_some(),
                CallErrorKind::NotGranted
                | CallErrorKind::NotFound
                | CallErrorKind::InvalidRequest
                | CallErrorKind::Unauthenticated
                | CallErrorKind::RateLimited
                | CallErrorKind::Rejected
                | CallErrorKind::Unavailable
                | CallErrorKind::Cancelled
                | CallErrorKind::Exhausted
                | CallErrorKind::Internal => true,
            };
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
        // Who goes away before there is an answer spends, too: the service works on.
        if !self.refused {
            self.budget.spend(tokens);
        }
    }
}

/// The bytes of a text, of which an image in it counts few.
fn text_bytes(text: &str) -> u64 {
    let mut pieces = text.split(IMAGE);
    let first = pieces.next().map_or(0, str::len);
    let rest = pieces.map(|rest| {
        let image = IMAGE.len() + image_length(rest).unwrap_or_default();
        image.min(MAX_IMAGE) + IMAGE.len() + rest.len() - image
    });
    rest.fold(first as u64, |sum, bytes| sum.saturating_add(bytes as u64))
}

/// How many bytes of an image follow its beginning; none: it is none. What only begins like one is text.
fn image_length(rest: &str) -> Option<usize> {
    let is_type = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-');
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=');
    let run = |text: &str, is: &dyn Fn(u8) -> bool| text.bytes().take_while(|byte| is(*byte)).count();
    let data = run(rest, &is_type) + BASE64.len();
    let after = rest.get(data..).filter(|_| data <= MAX_TYPE && rest[..data].ends_with(BASE64))?;
    Some(data + run(after, &is_base64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boundary::budget::Limits;

    /// What is left of 100 tokens, in calls of one, after a call that went so.
    #[track_caller]
    fn check(question: &str, went: impl FnOnce(&mut Meter), spent: u64) {
        let budget = Arc::new(Budget::new(Limits { calls: 1000, tokens: 100 }));
        let mut meter = Meter::new(budget.clone(), [question]);
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

    #[track_caller]
    fn check_bytes(text: &str, expected: usize) {
        assert_eq!(text_bytes(text), expected as u64, "{text:.80}");
    }

    #[test]
    fn an_image_counts_as_a_little_text() {
        for data in [&format!("{IMAGE}png{BASE64}"), &format!("{IMAGE}svg+xml{BASE64}")] {
            let image = |length| format!(r#"["1234", "{data}{}", "5678"]"#, "A".repeat(length));
            check_bytes(&image(40), 20 + data.len() + 40);
            check_bytes(&image(400_000), 20 + MAX_IMAGE);
        }
        let two = format!("{IMAGE}png{BASE64}{0} {IMAGE}png{BASE64}{0}", "A/+=".repeat(5000));
        check_bytes(&two, 2 * MAX_IMAGE + 1);
    }

    #[test]
    fn what_only_begins_like_an_image_is_text() {
        let text = " and so on".repeat(10_000);
        for begins in
            [IMAGE, "data:image/png", "data:image/png;base64", "data:image/ä;base64,", "data:image/p;q;base64,"]
        {
            let whole = format!("{begins}{text}");
            check_bytes(&whole, whole.len());
        }
        let long = format!("{IMAGE}{}{BASE64}{}", "x".repeat(MAX_TYPE), "A".repeat(10_000));
        check_bytes(&long, long.len());
        // Also what follows an image.
        check_bytes(&format!("{IMAGE}png{BASE64}AAAA{text}"), IMAGE.len() + 3 + BASE64.len() + 4 + text.len());
    }

    #[test]
    fn what_was_refused_costs_nothing() {
        use CallErrorKind::{InvalidRequest, RateLimited, Timeout, Unavailable};
        for error in [
            CallError::new(RateLimited, "no room").with_status(429),
            CallError::new(Timeout, "too long").with_status(408),
            CallError::new(Unavailable, "no connection"),
            CallError::new(InvalidRequest, "no object"),
        ] {
            check("12345678", |meter| meter.failed(&error), 0);
        }
    }

    #[test]
    fn what_the_service_worked_on_costs_its_estimate_however_it_ends() {
        check("12345678", |_| {}, 2);
        check("12345678", |meter| meter.failed(&CallError::new(CallErrorKind::Timeout, "no answer in time")), 2);
        check("12345678", |meter| meter.failed(&CallError::new(CallErrorKind::Protocol, "too large")), 2);
        let broken_off = CallError::new(CallErrorKind::Unavailable, "broke off");
        check("12345678", |meter| (meter.answered("1234", None), meter.failed(&broken_off)).1, 3);
    }
}

//! Spans below the node's own, for parts of its work.

use std::any::Any;
use std::borrow::Cow;
use std::fmt::Display;

use serde::Serialize;

use crate::bindings::weir::flow::context as wit;
use crate::error::{CallError, NodeError};

use super::{AttributeValue, SpanKind};

/// A span that is not started yet. Made by [`span`].
#[derive(Clone, Debug)]
#[must_use = "a span is started by `in_scope` or `start`"]
pub struct NewSpan {
    name: String,
    kind: SpanKind,
    inputs: Option<String>,
}

/// A span that is open. Made by [`NewSpan::start`]; one that is dropped ends without a status.
#[derive(Debug)]
pub struct Span(Option<wit::Span>);

/// A span for a part of the node's work, below whichever span is open, or else the node's own: what prompt flow's `@trace`
/// is in Python. What the node calls of the host in the meantime, such as a model, is below it.
///
/// A run starts at most 256 spans; names are at most 100 bytes. What does not fit is left out and counted, never an error.
///
/// ```no_run
/// use weir_sdk::context::{self, SpanKind};
/// use weir_sdk::{NodeError, llm, node};
///
/// fn retrieve(question: &str) -> Result<Vec<String>, NodeError> {
///     context::span("retrieve").kind(SpanKind::Retrieval).inputs(question).in_scope(|span| {
///         let vectors = llm::embed("my_connection", [question]).send()?; // below `retrieve` in the trace
///         span.set_attribute("model", vectors.model);
///         Ok(vec!["a document".to_owned()])
///     })
/// }
/// # fn main() {}
/// ```
pub fn span(name: impl Into<String>) -> NewSpan {
    NewSpan { name: name.into(), kind: SpanKind::Function, inputs: None }
}

impl NewSpan {
    /// What kind of work it is; a function, if nothing is said.
    pub fn kind(self, kind: SpanKind) -> Self {
        Self { kind, ..self }
    }

    /// What the work is given. The host tells as much of it as of a node's inputs.
    pub fn inputs(self, inputs: impl Serialize) -> Self {
        Self { inputs: Some(json(&inputs)), ..self }
    }

    /// Does the work within the span, which ends with what it gives: well with its output, or as failed with its error.
    ///
    /// The class of a [`NodeError`] is its code, that of a [`CallError`] the code of its kind, and that of any other error the
    /// name of its type.
    ///
    /// # Errors
    ///
    /// Those of the work.
    pub fn in_scope<T: Serialize, E: Display + 'static>(
        self,
        work: impl FnOnce(&Span) -> Result<T, E>,
    ) -> Result<T, E> {
        let span = self.start();
        let result = work(&span);
        match &result {
            Ok(output) => span.finish(output),
            Err(error) => span.fail(&class(error), error),
        }
        result
    }

    /// Starts it, for work that is no one function. It is the one that further spans and calls are below, until it ends.
    #[must_use = "a span that is dropped ends"]
    pub fn start(self) -> Span {
        Span(wit::start_span(&self.name, self.kind, self.inputs.as_deref().unwrap_or("{}")))
    }
}

impl Span {
    /// Sets an attribute of this span, under the bounds of [`set_attribute`](super::set_attribute); all spans of a run
    /// together have at most 256.
    pub fn set_attribute(&self, key: &str, value: impl Into<AttributeValue>) {
        if let Some(span) = &self.0 {
            span.set_attribute(key, &value.into());
        }
    }

    /// Makes it the one that further spans and calls are below, until it ends: for work that goes on by turns with another's.
    pub fn enter(&self) {
        if let Some(span) = &self.0 {
            wit::set_current_span(Some(span));
        }
    }

    /// Ends it well, with what the work gave.
    pub fn finish(self, output: impl Serialize) {
        if let Some(span) = self.0 {
            span.end(&wit::SpanEnd::Output(json(&output)));
        }
    }

    /// Ends it well, with the pieces of what was a stream.
    pub fn finish_streamed<T: Serialize>(self, pieces: impl IntoIterator<Item = T>) {
        if let Some(span) = self.0 {
            let pieces: Vec<_> = pieces.into_iter().map(|piece| json(&piece)).collect();
            span.end(&wit::SpanEnd::Iterated(format!("[{}]", pieces.join(","))));
        }
    }

    /// Ends it as failed. `kind` is the class of the error, such as `NoIndex`.
    pub fn fail(self, kind: &str, message: impl Display) {
        if let Some(span) = self.0 {
            let error = wit::SpanError { kind: kind.to_owned(), message: message.to_string() };
            span.end(&wit::SpanEnd::Error(error));
        }
    }
}

/// As JSON text. What cannot be written as JSON, such as a map whose keys are no texts, must not fail the work.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// The name of an error for programs.
fn class<E: 'static>(error: &E) -> Cow<'_, str> {
    let error: &dyn Any = error;
    if let Some(error) = error.downcast_ref::<NodeError>() {
        return error.code.as_str().into();
    }
    if let Some(error) = error.downcast_ref::<CallError>() {
        return error.kind.code().into();
    }
    let name = std::any::type_name::<E>();
    // `alloc::boxed::Box<dyn core::error::Error>` is `Error`.
    name.trim_end_matches('>').rsplit("::").next().unwrap_or(name).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CallErrorKind;

    #[test]
    fn the_class_of_an_error_is_its_code_or_its_type() {
        assert_eq!(class(&NodeError::user("QuestionTooLong", "no")), "QuestionTooLong");
        let refused = CallError { kind: CallErrorKind::NotGranted, status: None, message: "no".to_owned() };
        assert_eq!(class(&refused), "NotGranted");
        assert_eq!(class(&std::fmt::Error), "Error");
        assert_eq!(class(&Box::<dyn std::error::Error>::from("no")), "Error");
        assert_eq!(class(&"no"), "&str");
    }

    #[test]
    fn what_is_no_json_is_null() {
        assert_eq!(json(&std::collections::HashMap::from([((1, 2), 3)])), "null");
        assert_eq!(json(&("a", 1.5)), r#"["a",1.5]"#);
    }
}

//! What a guest starts below its node's span, to show the parts of its work: their tree, and which of them is the current
//! one, below which its calls are.
//!
//! They are told by the guest's word, and say so (`weir.span.origin`). Nothing here fails. What does not fit is left out, and
//! how much that was is on the node's span.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry::trace::{SpanKind, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use serde::de::IgnoredAny;

use crate::id::NodeId;

use super::notes::{NodeNotes, NoteValue, is_free, is_name, replace};
use super::{End, Open, RequestFacts, Start, bound, common};
use crate::telemetry::content::{CONTENT_BYTES, Content, label, marked};
use crate::telemetry::names::{attribute, event, gen_ai_content, semconv, value};
use crate::telemetry::{Telemetry, Usage, propagation};

/// What kind of work a span is of, in the words of prompt flow's traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestKind {
    Function,
    Tool,
    Llm,
    Embedding,
    Retrieval,
    Flow,
    LangChain,
}

/// What a guest says of a span as it starts it.
#[derive(Clone, Copy, Debug)]
pub struct GuestStart<'a> {
    pub request: RequestFacts<'a>,
    pub name: &'a str,
    pub kind: GuestKind,
    /// JSON text, if the guest keeps to its contract.
    pub inputs: &'a str,
}

/// How a guest ends a span. Texts are JSON if the guest keeps to its contract.
#[derive(Clone, Copy, Debug)]
pub enum GuestEnd<'a> {
    Output(&'a str),
    /// With the list of what was a stream.
    Iterated(&'a str),
    Error {
        /// The class of the exception.
        kind: &'a str,
        message: &'a str,
    },
    /// It has not said how.
    Left,
}

/// The spans of one run's guest. Clones share them; once the node's span has ended none is started.
#[derive(Clone, Debug)]
pub struct GuestSpans {
    telemetry: Telemetry,
    node: NodeId,
    /// The node's own span, and what it has cost.
    below: (Context, Usage),
    notes: NodeNotes,
    tree: Arc<Mutex<Tree>>,
}

#[derive(Debug, Default)]
struct Tree {
    /// The number of the first. No two runs have the same, so that what an instance has kept of one is nothing to the next.
    first: u32,
    /// All that were started, in the order of their numbers.
    spans: Vec<Place>,
    /// None: the node's own.
    current: Option<usize>,
    /// Attributes of all of them.
    attributes: usize,
    /// Bytes of inputs and outputs of all of them.
    content: usize,
    left_out: i64,
    /// The node's span has ended.
    closed: bool,
}

#[derive(Debug)]
struct Place {
    above: Option<usize>,
    /// Taken when it has ended.
    span: Option<GuestSpan>,
}

#[derive(Debug)]
struct GuestSpan {
    kind: GuestKind,
    usage: Usage,
    /// Written when it ends: a later value replaces an earlier one, which a span cannot.
    attributes: Vec<KeyValue>,
    open: Open,
}

impl GuestSpans {
    pub(super) fn below(open: &Open, telemetry: &Telemetry, node: &NodeId, usage: Usage, notes: &NodeNotes) -> Self {
        Self {
            telemetry: telemetry.clone(),
            node: node.clone(),
            below: (open.context().clone(), usage),
            notes: notes.clone(),
            tree: Arc::default(),
        }
    }

    /// Those of a run that nobody asked for: none is started. `notes` are that run's.
    pub fn of_nobody(&self, notes: &NodeNotes) -> Self {
        Self {
            telemetry: self.telemetry.clone(),
            node: self.node.clone(),
            below: (Context::new(), Usage::default()),
            notes: notes.clone(),
            tree: Arc::new(Mutex::new(Tree { closed: true, ..Tree::default() })),
        }
    }

    /// The parent for the spans of what the guest calls, and what that costs, to be added to.
    pub fn current(&self) -> (Context, Usage) {
        self.tree().current(&self.below)
    }

    /// The current span as the text of a `traceparent` header; empty if there is no trace.
    pub fn traceparent(&self) -> String {
        propagation::traceparent(&self.current().0)
    }

    /// Starts a span below the current one, makes it that, and gives its number. None: nobody would see it, or it is left out.
    pub fn start(&self, start: GuestStart<'_>) -> Option<u32> {
        let mut tree = self.tree();
        let (above, usage) = tree.current(&self.below);
        if tree.closed || !above.span().is_recording() {
            return None;
        }
        if tree.spans.len() == bound::SPANS || !is_name(start.name) {
            tree.left_out = tree.left_out.saturating_add(1);
            return None;
        }
        if tree.spans.is_empty() {
            tree.first = self.telemetry.guest_numbers();
        }
        let number = tree.first.wrapping_add(u32::try_from(tree.spans.len()).ok()?);
        let usage = Usage::below(&usage);
        let span = GuestSpan::start(&self.telemetry, &self.node, start, &above, usage, &mut tree.content);
        let place = Place { above: tree.current, span: Some(span) };
        tree.current = Some(tree.spans.len());
        tree.spans.push(place);
        Some(number)
    }

    /// Sets an attribute; a later value replaces an earlier one.
    pub fn set_attribute(&self, number: u32, key: &str, value: NoteValue) {
        let mut tree = self.tree();
        let room = tree.attributes < bound::SPAN_ATTRIBUTES;
        let Some(span) = tree.open(number) else { return };
        let before = span.attributes.len();
        let most = if room { bound::ATTRIBUTES } else { before };
        if !is_free(key) || !replace(&mut span.attributes, most, self.notes.note(key.to_owned(), value)) {
            self.notes.leave_out();
            return;
        }
        let more = span.attributes.len() - before;
        tree.attributes += more;
    }

    /// Makes a span the current one: this, or the nearest above it that is open; none: the node's own.
    pub fn set_current(&self, number: Option<u32>) {
        let mut tree = self.tree();
        tree.current = number.and_then(|number| tree.place(number));
        tree.leave_ended();
    }

    /// Ends a span, and says whether it was open.
    pub fn end_one(&self, number: u32, end: GuestEnd<'_>) -> bool {
        let mut tree = self.tree();
        let Some(span) = tree.take(number) else { return false };
        tree.leave_ended();
        span.end(end, &mut tree.content);
        true
    }

    /// Ends those that are open as the run ends, and starts no more.
    pub(super) fn end(&self, end: End<'_>) {
        let mut tree = self.tree();
        tree.closed = true;
        tree.current = None;
        let left_out = tree.left_out;
        let spans = std::mem::take(&mut tree.spans);
        drop(tree);
        // The last that was started first: it is below the others, or beside them.
        for mut span in spans.into_iter().rev().filter_map(|place| place.span) {
            span.write();
            match end {
                // That the run went well says nothing of what it has left.
                End::Completed => span.open.close(),
                End::Failed { .. } | End::Cancelled { .. } => span.open.end(end),
            };
        }
        if left_out > 0 {
            let span = self.below.0.span();
            span.set_attribute(KeyValue::new(attribute::SPANS_LEFT_OUT, left_out));
        }
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        // Nothing panics while it holds the lock; if something did, the spans would still be spans.
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tree {
    fn current(&self, node: &(Context, Usage)) -> (Context, Usage) {
        let span = self.current.and_then(|number| self.spans.get(number)?.span.as_ref());
        span.map_or_else(|| node.clone(), |span| (span.open.context().clone(), span.usage.clone()))
    }

    fn place(&self, number: u32) -> Option<usize> {
        usize::try_from(number.wrapping_sub(self.first)).ok()
    }

    fn open(&mut self, number: u32) -> Option<&mut GuestSpan> {
        let place = self.place(number)?;
        self.spans.get_mut(place)?.span.as_mut()
    }

    fn take(&mut self, number: u32) -> Option<GuestSpan> {
        let place = self.place(number)?;
        self.spans.get_mut(place)?.span.take()
    }

    /// From a span that has ended to the nearest above it that is open.
    fn leave_ended(&mut self) {
        while let Some(number) = self.current {
            match self.spans.get(number) {
                Some(Place { span: Some(_), .. }) => break,
                Some(Place { above, span: None }) => self.current = *above,
                None => self.current = None,
            }
        }
    }
}

impl GuestSpan {
    fn start(
        telemetry: &Telemetry,
        node: &NodeId,
        start: GuestStart<'_>,
        above: &Context,
        usage: Usage,
        content: &mut usize,
    ) -> Self {
        let GuestStart { request, name, kind, inputs } = start;
        let name = label(telemetry.redactor(), name);
        let mut attributes = common(telemetry.redactor(), kind.span_type(), request);
        attributes.push(KeyValue::new(attribute::SPAN_ORIGIN, value::GUEST));
        attributes.push(KeyValue::new(attribute::FUNCTION, name.clone()));
        attributes.push(KeyValue::new(attribute::NODE_NAME, node.to_string()));
        attributes.extend(kind.operation().map(|operation| KeyValue::new(semconv::OPERATION, operation)));
        if kind == GuestKind::Tool {
            attributes.push(KeyValue::new(semconv::TOOL_NAME, name.clone()));
            attributes.push(KeyValue::new(semconv::TOOL_TYPE, "function"));
        }
        let open = Open::start(
            telemetry,
            Start {
                name: name.into(),
                kind: SpanKind::Internal,
                parent: above,
                attributes,
                usage: Some(usage.clone()),
                told: true,
                flow: None,
            },
        );
        let span = Self { kind, usage, attributes: Vec::new(), open };
        span.tell((attribute::INPUTS, event::INPUTS, gen_ai_content::TOOL_ARGUMENTS), inputs, content);
        span
    }

    /// Tells inputs or an output, under the names of prompt flow and, of a tool, of the GenAI conventions. `content` is what
    /// the run's spans have told so far.
    fn tell(&self, (key, event, of_tool): (&'static str, &'static str, &'static str), text: &str, content: &mut usize) {
        if !self.open.tells_content() {
            return;
        }
        let mut json = as_json(text);
        *content = content.saturating_add(json.len());
        if self.open.recording().content == Content::Full && *content > bound::SPAN_CONTENT {
            json = Cow::Owned(marked(self.open.redactor(), &json, CONTENT_BYTES).to_string());
        }
        self.open.tell(key, event, &json);
        if self.kind == GuestKind::Tool {
            self.open.tell_gen_ai(of_tool, || Some(json.into_owned()));
        }
    }

    fn end(mut self, end: GuestEnd<'_>, content: &mut usize) {
        const OUTPUT: (&str, &str, &str) = (attribute::OUTPUT, event::OUTPUT, gen_ai_content::TOOL_RESULT);
        self.write();
        let end = match end {
            GuestEnd::Output(output) => {
                self.tell(OUTPUT, output, content);
                End::Completed
            }
            GuestEnd::Iterated(output) => {
                self.open.set(attribute::OUTPUT_TYPE, value::ITERATED);
                self.tell(OUTPUT, output, content);
                End::Completed
            }
            GuestEnd::Error { kind, message } => {
                let code = if kind.is_empty() { value::ERROR } else { kind };
                End::Failed { kind: None, code, message, detail: None }
            }
            GuestEnd::Left => {
                self.open.close();
                return;
            }
        };
        self.open.end(end);
    }

    /// Puts on the span what waited for its end.
    fn write(&mut self) {
        self.open.set_all(std::mem::take(&mut self.attributes));
    }
}

impl GuestKind {
    fn span_type(self) -> &'static str {
        match self {
            Self::Function => "Function",
            Self::Tool => "Tool",
            Self::Llm => "LLM",
            Self::Embedding => "Embedding",
            Self::Retrieval => "Retrieval",
            Self::Flow => "Flow",
            Self::LangChain => "LangChain",
        }
    }

    /// The operation in the words of the GenAI conventions. None of a model: of its calls the host tells more than a guest
    /// can, and who counts operations would count them twice.
    fn operation(self) -> Option<&'static str> {
        match self {
            Self::Tool => Some("execute_tool"),
            Self::Retrieval => Some("retrieval"),
            Self::Function | Self::Llm | Self::Embedding | Self::Flow | Self::LangChain => None,
        }
    }
}

/// The text if it is JSON, else as a JSON text: whoever reads the attribute may count on it.
fn as_json(text: &str) -> Cow<'_, str> {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(serde_json::Value::from(text).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_json_is_told_as_a_text() {
        for (given, told) in [
            (r#"{"a": [1.0, null]}"#, r#"{"a": [1.0, null]}"#),
            ("12345678901234567890123", "12345678901234567890123"),
            ("no \"JSON\"", r#""no \"JSON\"""#),
            ("", r#""""#),
            ("{} {}", r#""{} {}""#),
        ] {
            assert_eq!(as_json(given), told, "{given}");
        }
    }
}

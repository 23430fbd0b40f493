//! When a span closes: when it has ended and all below it have closed.
//!
//! A request that is given up drops its flow, whose nodes are told to end and do so a moment later, on other threads. Their
//! spans must lie within the flow's, and what they cost must be in its sum. So each span holds the one above it open, and
//! whoever has the last hold closes it. A task that may yet open a span takes a [`Hold`] with it.

use std::sync::{Arc, Weak};
use std::time::Instant;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;

use super::Clock;
use crate::telemetry::Usage;
use crate::telemetry::content::Recording;

/// A span that somebody still needs. Closes it when nobody does.
#[derive(Debug)]
pub(super) struct Held {
    /// With the span, and without what the spans below inherit: that would hold itself.
    cx: Context,
    clock: Clock,
    usage: Option<Usage>,
    /// Let go after this span has closed: fields are dropped after the struct is.
    _above: Option<Arc<Held>>,
}

/// What the spans below one inherit from it, as a value of its context.
#[derive(Clone, Debug, Default)]
pub(super) struct Inherited {
    pub(super) clock: Option<Clock>,
    pub(super) recording: Option<Recording>,
    pub(super) conversation: Option<Arc<str>>,
    holder: Weak<Held>,
}

/// Keeps the span of a context open, until it is dropped: for a task that may open spans below it, and that goes on for a
/// moment when it is aborted.
#[derive(Debug)]
#[must_use = "the span is held open as long as this lives"]
pub struct Hold(#[expect(dead_code, reason = "it is there to be dropped")] Option<Arc<Held>>);

impl Held {
    pub(super) fn new(cx: Context, clock: Clock, usage: Option<Usage>, above: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self { cx, clock, usage, _above: above })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let span = self.cx.span();
        if let Some(sums) = self.usage.as_ref().and_then(|usage| usage.tokens().cumulative()) {
            span.set_attributes(sums);
        }
        span.end_with_timestamp(self.clock.wall(Instant::now()));
    }
}

impl Inherited {
    /// What a context has for those below it, and the span that it holds.
    pub(super) fn of(context: &Context) -> (Self, Option<Arc<Held>>) {
        let inherited = context.get::<Self>().cloned().unwrap_or_default();
        let above = inherited.holder.upgrade();
        (inherited, above)
    }

    /// The context for spans below this one.
    pub(super) fn below(self, held: &Arc<Held>) -> Context {
        held.cx.with_value(Self { holder: Arc::downgrade(held), ..self })
    }
}

impl Hold {
    pub fn of(context: &Context) -> Self {
        Self(Inherited::of(context).1)
    }
}

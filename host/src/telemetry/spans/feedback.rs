//! The span by which a user's judgement joins the trace it is about. Reading the judgement: see server/feedback.rs.

use opentelemetry::trace::{Span as _, SpanKind, Tracer};
use opentelemetry::{Context, KeyValue};

use crate::telemetry::names::span;
use crate::telemetry::{Telemetry, propagation};

/// Attributes of one feedback that are kept, the first ones: what the SDK keeps of a span. A body may name any number.
const MAX_ATTRIBUTES: usize = 128;

impl Telemetry {
    /// Records a feedback as a child of the caller's span, whether or not tracing is on.
    ///
    /// The caller's baggage is added, as prompt flow does; where keys are the same it wins. As a span has nothing to
    /// tell but this, its status stays unset.
    pub fn feedback(&self, parent: &Context, attributes: Vec<KeyValue>) {
        let mut unique: Vec<KeyValue> = Vec::new();
        for attribute in attributes.into_iter().take(MAX_ATTRIBUTES).chain(propagation::baggage(parent)) {
            match unique.iter_mut().find(|it| it.key == attribute.key) {
                Some(earlier) => *earlier = attribute,
                None => unique.push(attribute),
            }
        }
        let tracer = self.feedback_tracer();
        let builder = tracer.span_builder(span::FEEDBACK).with_kind(SpanKind::Internal).with_attributes(unique);
        tracer.build_with_context(builder, parent).end();
    }
}

//! Shows the parts of its work as spans, by the SDK.

use weir_sdk::context::{self, SpanKind};
use weir_sdk::{NodeError, llm, node};

/// Looks for documents, and asks a model about them; without a question it fails.
#[node(uses = ["context", "llm"])]
fn context_spans_its_work(question: String) -> Result<String, NodeError> {
    context::span("answer").inputs([("question", &question)]).in_scope(|answer| {
        let found = documents(&question)?;
        let cut = context::span("cut").start();
        answer.enter();
        let reply = llm::chat("open_ai_connection").user(&found).send()?;
        cut.enter();
        cut.finish_streamed(found.split(' '));
        Ok(reply.text().to_owned())
    })
}

fn documents(question: &str) -> Result<String, NodeError> {
    context::span("retrieve").kind(SpanKind::Retrieval).inputs(question).in_scope(|span| {
        span.set_attribute("guest.documents", 1);
        if question.is_empty() {
            return Err(NodeError::user("NoQuestion", "there is nothing to look for"));
        }
        Ok(format!("about {question}"))
    })
}

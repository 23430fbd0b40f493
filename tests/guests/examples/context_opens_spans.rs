//! Starts and ends spans as it is told, also as no program would: twice, in any order, without end.

use weir_sdk::raw::weir::flow::context::{self, Span, SpanEnd, SpanError, SpanKind};
use weir_sdk::serde_json::{Value, json};
use weir_sdk::{NodeError, llm, node};

/// Does each step, `[VERB, …]`. Spans are named by their number, in the order of `start`. Says of each start whether there
/// is a span.
#[node]
fn context_opens_spans(steps: Vec<Vec<Value>>) -> Result<Vec<bool>, NodeError> {
    let mut spans: Vec<Option<Span>> = Vec::new();
    for step in &steps {
        let text = |at: usize| step.get(at).and_then(Value::as_str).unwrap_or_default();
        let number = |at: usize| step.get(at).and_then(Value::as_u64).unwrap_or_default();
        let at = |at: usize| usize::try_from(number(at)).unwrap_or_default();
        match text(0) {
            "start" => spans.push(context::start_span(text(1), kind(text(2)), &format!("{{\"given\":{}}}", step[1]))),
            // Of so many bytes, which are no JSON.
            "start with" => spans.push(context::start_span(text(1), kind("Tool"), &"x".repeat(at(2)))),
            "start many" => {
                for n in 0..number(1) {
                    spans.push(context::start_span(&format!("many {n}"), SpanKind::Function, "{}"));
                }
            }
            // Each is dropped before the next is started.
            "start and drop" => {
                (0..number(1)).for_each(|_| drop(context::start_span("loop", SpanKind::Function, "{}")))
            }
            "end" => end(&spans[at(1)], &SpanEnd::Output(json!(text(2)).to_string())),
            "iterated" => end(&spans[at(1)], &SpanEnd::Iterated("[1,2]".to_owned())),
            "fail" => {
                end(
                    &spans[at(1)],
                    &SpanEnd::Error(SpanError { kind: text(2).to_owned(), message: text(3).to_owned() }),
                );
            }
            "drop" => spans[at(1)] = None,
            "set" => {
                if let Some(span) = &spans[at(1)] {
                    span.set_attribute(text(2), &text(3).into());
                }
            }
            "set many" => {
                if let Some(span) = &spans[at(1)] {
                    (0..number(2)).for_each(|n| span.set_attribute(&format!("many.{n}"), &(n as i64).into()));
                }
            }
            "current" => context::set_current_span(step.get(1).and_then(|_| spans[at(1)].as_ref())),
            "chat" => drop(llm::chat("open_ai_connection").user(text(1)).send()?),
            "trap" => std::arch::wasm32::unreachable(),
            "loop" => loop {
                std::hint::spin_loop();
            },
            "give up" => return Err(NodeError::user("GaveUp", "it does not want to go on")),
            other => return Err(NodeError::user("NoSuchStep", other)),
        }
    }
    let told = spans.iter().map(Option::is_some).collect();
    // As a program does that ends without looking back.
    std::mem::forget(spans);
    Ok(told)
}

fn end(span: &Option<Span>, how: &SpanEnd) {
    if let Some(span) = span {
        span.end(how);
    }
}

fn kind(name: &str) -> SpanKind {
    match name {
        "Tool" => SpanKind::Tool,
        "LLM" => SpanKind::Llm,
        "Embedding" => SpanKind::Embedding,
        "Retrieval" => SpanKind::Retrieval,
        "Flow" => SpanKind::Flow,
        "LangChain" => SpanKind::LangChain,
        _ => SpanKind::Function,
    }
}

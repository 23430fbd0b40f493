//! What guests start below their nodes' spans: the tree of it, what it says, and guests that do it as no program would.

use std::collections::BTreeMap;

use harness::{Collector, FakeModel, HostBuilder, Hostile, Ingestion, KEY, Span, Status, TestHost, Trace};
use serde_json::{Value, json};
use weir::boundary::facts::bound;

/// A host of a node that starts and ends spans as its requests say.
fn host(limits: &str) -> HostBuilder {
    let flow = format!(
        "
inputs: {{steps: {{type: list}}}}
outputs: {{answer: {{type: object, reference: '${{parts.output}}'}}}}
nodes:
- name: parts
  type: wasm
  source: {{type: code, path: guests/context_opens_spans.wasm}}
  inputs: {{steps: '${{inputs.steps}}'}}
  grants: {{llm: [open_ai_connection]}}
  limits: {{{limits}}}
"
    );
    TestHost::written("shows", &flow)
}

/// What a host tells of these steps, and what it answers.
async fn trace_of(host: HostBuilder, steps: Value) -> (Trace, u16) {
    let (collector, model) = (Collector::start(), FakeModel::replies("hi").start());
    let host = host.collector(&collector).model(&model).start().await;
    let status = host.score(json!({"steps": steps})).await.status;
    host.stop().await;
    (collector.only_trace().await, status)
}

/// Names and endings of what is below a span, each with what is below it.
fn tree(trace: &Trace, above: &Span) -> Value {
    let below = trace.children(above).into_iter().map(|span| {
        let ending = match &span.status {
            Status::Ok => "ok",
            Status::Unset => "unset",
            Status::Error(description) => description,
        };
        (format!("{}: {ending}", span.name), tree(trace, span))
    });
    Value::Object(below.collect())
}

#[track_caller]
fn check(trace: &Trace, expected: &Value) {
    assert_eq!(tree(trace, trace.span("parts")), *expected);
    // Whatever the guest does, a span lies within the one above it.
    for span in &trace.spans {
        let above = trace.spans.iter().find(|above| Some(&above.span_id) == span.parent.as_ref());
        assert!(
            above.is_none_or(|above| above.start <= span.start && span.end <= above.end),
            "{} is not within its parent",
            span.name
        );
    }
}

#[tokio::test]
async fn spans_nest_and_calls_are_below_the_current_one() {
    let steps = json!([
        ["chat", "before"],
        ["start", "outer"],
        ["start", "inner", "Retrieval"],
        ["chat", "deep"],
        ["end", 1, "found"],
        ["chat", "shallow"],
        ["end", 0, "done"],
        ["chat", "after"],
        ["start", "beside"],
        ["fail", 2, "ValueError", "no such thing"],
    ]);
    let (trace, status) = trace_of(host(""), steps).await;
    assert_eq!(status, 200);
    check(
        &trace,
        &json!({
            "openai_chat: ok": {},
            "outer: ok": {"inner: ok": {"openai_chat: ok": {}}, "openai_chat: ok": {}},
            "beside: ValueError: no such thing": {},
        }),
    );
    let below = |name: &str| trace.children(trace.span(name)).iter().filter(|it| it.name == "openai_chat").count();
    assert_eq!(["parts", "outer", "inner"].map(below), [2, 1, 1]);
    let tokens = |name: &str| trace.span(name).attributes.get("__computed__.cumulative_token_count.total").cloned();
    let of = |span: &Span| span.attributes.get("llm.usage.total_tokens").and_then(Value::as_i64).unwrap_or_default();
    let below = |name: &str| trace.children(trace.span(name)).into_iter().map(of).sum::<i64>();
    assert_eq!(tokens("inner"), Some(json!(below("inner"))));
    assert_eq!(tokens("outer"), Some(json!(below("inner") + below("outer"))));
    assert_eq!(tokens("parts"), Some(json!(below("inner") + below("outer") + below("parts"))));
    assert_eq!(tokens("beside"), None);
}

#[tokio::test]
async fn a_span_says_what_prompt_flow_says_of_a_traced_function() {
    let steps = json!([
        ["start", "look", "Function"],
        ["set", 0, "guest.index", "small"],
        ["set", 0, "guest.index", "large"],
        ["set", 0, "span_type", "posing"],
        ["end", 0, "found"],
        ["start", "pieces"],
        ["iterated", 1],
    ]);
    let (collector, model) = (Collector::start(), FakeModel::replies("hi").start());
    let host = host("").collector(&collector).model(&model).start().await;
    assert_eq!(host.score_with(&[("x-request-id", "r-1")], json!({"steps": steps}).to_string()).await.status, 200);
    host.stop().await;
    let trace = collector.only_trace().await;
    let look = trace.span("look");
    let expected = json!({
        "framework": "promptflow",
        "span_type": "Function",
        "function": "look",
        "node_name": "parts",
        "execution_target": "dag",
        "line_run_id": "r-1",
        "request_id": "r-1",
        "weir.span.origin": "guest",
        "inputs": "{\"given\":\"look\"}",
        "output": "\"found\"",
        "guest.index": "large",
    });
    assert_eq!(json!(look.attributes), expected);
    let events: BTreeMap<_, _> = look.events.iter().map(|it| (it.name.as_str(), &it.attributes["payload"])).collect();
    let told = [("promptflow.function.inputs", "inputs"), ("promptflow.function.output", "output")];
    assert_eq!(events, told.map(|(event, attribute)| (event, &look.attributes[attribute])).into());
    let pieces = &trace.span("pieces").attributes;
    assert_eq!((&pieces["output_type"], &pieces["output"]), (&json!("iterated"), &json!("[1,2]")));
    assert_eq!(trace.span("parts").attributes["weir.notes_left_out"], 1);
}

#[tokio::test]
async fn kinds_are_those_of_prompt_flow_and_of_the_conventions() {
    let kinds = ["Function", "Tool", "LLM", "Embedding", "Retrieval", "Flow", "LangChain"];
    let steps: Vec<_> = kinds.iter().map(|kind| json!(["start", format!("a {kind}"), kind])).collect();
    let host = host("").env("WEIR_TRACE_DIALECTS", "openinference");
    let (trace, _) = trace_of(host, json!(steps)).await;
    let said = |kind: &str, key: &str| {
        let span = trace.span(&format!("a {kind}"));
        assert_eq!((span.kind, &span.attributes["span_type"]), ("internal", &json!(kind)));
        span.attributes.get(key).and_then(Value::as_str).unwrap_or("-").to_owned()
    };
    let told: Vec<_> =
        kinds.map(|kind| [said(kind, "gen_ai.operation.name"), said(kind, "openinference.span.kind")].join(" ")).into();
    let expected =
        ["- CHAIN", "execute_tool TOOL", "- LLM", "- EMBEDDING", "retrieval RETRIEVER", "- CHAIN", "- CHAIN"];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn content_is_told_as_of_nodes_and_without_keys() {
    let steps = json!([
        ["start", format!("holds {KEY}")],
        ["set", 0, "guest.key", KEY],
        ["end", 0, KEY],
        ["start with", "much", 10_000]
    ]);
    let told = async |content: &str| trace_of(host("").env("WEIR_TRACE_CONTENT", content), steps.clone()).await.0;
    let nothing = told("none").await;
    let guests = nothing.spans.iter().filter(|span| span.attributes.contains_key("weir.span.origin"));
    assert!(guests.clone().all(|span| span.events.is_empty() && !span.attributes.contains_key("inputs")));
    assert_eq!(guests.count(), 2);
    let cut = told("truncated").await;
    let inputs = |trace: &Trace| trace.span("much").attributes["inputs"].as_str().unwrap_or_default().len();
    assert!((4096..4200).contains(&inputs(&cut)));
    // As the text that it is, since it is no JSON.
    let whole = told("full").await;
    assert_eq!(inputs(&whole), 10_002);
    for trace in [&nothing, &cut, &whole] {
        assert!(!format!("{trace:?}").contains(KEY));
        trace.span("holds ******");
    }
}

#[tokio::test]
async fn what_a_guest_wants_next_decides_which_span_is_the_current_one() {
    let steps = json!([
        ["start", "one"],
        ["current"],
        ["start", "two"],
        ["chat", "in two"],
        ["current", 0],
        ["chat", "in one"],
        ["start", "three"],
        ["current", 1],
        ["end", 0, "before three, which is below it"],
        ["chat", "in two again"],
        ["end", 1, "x"],
        ["current", 2],
        ["chat", "in three"],
        ["end", 2, "x"],
        ["chat", "in the node"],
    ]);
    let (trace, _) = trace_of(host(""), steps).await;
    check(
        &trace,
        &json!({
            "one: ok": {"openai_chat: ok": {}, "three: ok": {"openai_chat: ok": {}}},
            "two: ok": {"openai_chat: ok": {}},
            "openai_chat: ok": {},
        }),
    );
    assert_eq!(trace.children(trace.span("two")).len(), 2);
}

#[tokio::test]
async fn spans_end_once_in_any_order_and_those_that_are_left_with_the_run() {
    let steps = json!([
        ["start", "twice"],
        ["end", 0, "first"],
        ["end", 0, "second"],
        ["fail", 0, "E", "third"],
        ["set", 0, "late", "x"],
        ["start", "above"],
        ["start", "below"],
        ["end", 1, "first of both"],
        ["fail", 2, "", "of no class"],
        ["start", "dropped"],
        ["drop", 3],
        ["start", "left"],
        ["start", "deeper"],
    ]);
    let (trace, status) = trace_of(host(""), steps).await;
    assert_eq!(status, 200);
    check(
        &trace,
        &json!({
            "twice: ok": {},
            "above: ok": {"below: Error: of no class": {}},
            "dropped: unset": {},
            "left: unset": {"deeper: unset": {}},
        }),
    );
    let twice = &trace.span("twice").attributes;
    assert_eq!((&twice["output"], twice.get("late")), (&json!("\"first\""), None));
}

#[tokio::test]
async fn a_run_that_fails_fails_what_is_open() {
    for (last, status, ending) in [
        ("trap", 500, "GuestTrap: "),
        ("loop", 504, "NodeTimeout: "),
        ("give up", 400, "GaveUp: it does not want to go on"),
    ] {
        let steps = json!([["start", "outer"], ["start", "done"], ["end", 1, "x"], ["start", "inner"], [last]]);
        let (trace, answered) = trace_of(host("timeout: 1s"), steps).await;
        let node = match &trace.span("parts").status {
            Status::Error(description) => description.clone(),
            other => format!("{other:?}"),
        };
        assert!(node.starts_with(ending), "{node}");
        // A program that returns has let go of its spans; one that is stopped has not.
        let ended = if last == "give up" { "unset" } else { &node };
        check(&trace, &json!({format!("outer: {ended}"): {"done: ok": {}, format!("inner: {ended}"): {}}}));
        assert_eq!(answered, status, "{last}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_what_is_open() {
    let (collector, model) = (Collector::start(), FakeModel::echo().gated().start());
    let host = host("").collector(&collector).model(&model).start().await;
    let steps = json!({"steps": [["start", "outer"], ["chat", "never answered"]]});
    tokio::select! {
        _ = host.score(steps) => panic!("the model is gated"),
        _ = model.requested(1) => {}
    }
    model.abandoned(1).await;
    host.stop().await;
    let ending = "Execution cancelled.";
    check(&collector.only_trace().await, &json!({format!("outer: {ending}"): {format!("openai_chat: {ending}"): {}}}));
}

#[tokio::test]
async fn what_is_over_the_bounds_is_left_out_and_counted() {
    // A run that may hold nothing open of the host may have its spans all the same.
    let (trace, status) = trace_of(host("resources: 1"), json!([["start many", 300], ["start", "\n"]])).await;
    assert_eq!(status, 200);
    let node = trace.span("parts");
    assert_eq!(trace.spans.iter().filter(|span| span.name.starts_with("many ")).count(), bound::SPANS);
    assert_eq!(node.attributes["weir.spans_left_out"], 300 + 1 - bound::SPANS);
    // Each was started in the one before.
    let mut deepest = node.clone();
    while let [below] = trace.children(&deepest)[..] {
        deepest = below.clone();
    }
    assert_eq!(deepest.name, format!("many {}", bound::SPANS - 1));

    let many = (0..10).flat_map(|n| [json!(["start", format!("s {n}")]), json!(["set many", n, 40])]);
    let (trace, _) = trace_of(host(""), many.collect()).await;
    let set = |n: usize| {
        let span = trace.span(&format!("s {n}"));
        span.attributes.keys().filter(|key| key.starts_with("many.")).count()
    };
    assert_eq!((0..10).map(set).collect::<Vec<_>>(), [32, 32, 32, 32, 32, 32, 32, 32, 0, 0]);
    assert_eq!(trace.span("parts").attributes["weir.notes_left_out"], 400 - bound::SPAN_ATTRIBUTES);
}

#[tokio::test]
async fn spans_without_end_are_no_more_than_a_run_may_start() {
    let input = "inputs: {steps: [[start and drop, 30000], [start many, 1000]]}";
    let gives = json!(vec![false; 1000]);
    let aftermath = Hostile::guest_with("context_opens_spans", input).times(2).gives(gives).await;
    let all = aftermath.collector.spans();
    let guests = all.iter().filter(|span| span.attributes.contains_key("weir.span.origin")).count();
    assert_eq!(guests, bound::SPANS * aftermath.runs);
    let left_out = 31_000 - bound::SPANS;
    assert!(aftermath.spans().iter().all(|span| span.attributes["weir.spans_left_out"] == left_out));
    // What has no bound of its own are calls, of which there are so many.
    let input = "inputs: {steps: [[start and drop, 1000000]]}";
    let message = "node \"bad\" made more than its 100000 calls to the host; raise `limits.calls` of the node if it may make more";
    let bad = Hostile::guest_with("context_opens_spans", input).times(2).trap("call_limit");
    bad.ends(500, "GuestCallLimit", message).await;
}

#[tokio::test]
async fn huge_inputs_that_are_never_let_go_are_cut() {
    let steps: Vec<_> = (0..20).map(|n| json!(["start with", format!("s {n}"), 1 << 20])).collect();
    let (trace, status) = trace_of(host("").env("WEIR_TRACE_CONTENT", "full"), json!(steps)).await;
    assert_eq!(status, 200);
    let guests = trace.spans.iter().filter(|span| span.attributes.contains_key("weir.span.origin"));
    let told: usize = guests.map(|span| span.attributes["inputs"].as_str().unwrap_or_default().len()).sum();
    assert!((3 << 20..bound::SPAN_CONTENT + 20 * 8192).contains(&told), "{told}");
}

#[tokio::test]
async fn what_is_not_recorded_is_not_started() {
    let (collector, model) = (Collector::start(), FakeModel::replies("hi").start());
    let host = host("").collector(&collector).model(&model).start().await;
    let unsampled = [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")];
    let reply = host.score_with(&unsampled, json!({"steps": [["start", "a"], ["start many", 2]]}).to_string()).await;
    reply.assert_ok(json!({"answer": [false, false, false]}));
    host.stop().await;
    assert!(collector.spans().is_empty());
}

#[tokio::test]
async fn to_application_insights_they_are_work_within_the_process() {
    let (azure, model) = (Ingestion::start(), FakeModel::replies("hi").start());
    let to = azure.connection_string("aaaaaaaa-1111-4111-8111-111111111111");
    let host = host("").env("APPLICATIONINSIGHTS_CONNECTION_STRING", to).model(&model).start().await;
    let steps = json!([["start", "look", "LLM"], ["end", 0, "x"], ["start", "fails"], ["fail", 1, "ValueError", "no"]]);
    assert_eq!(host.score(json!({"steps": steps})).await.status, 200);
    host.stop().await;
    for (name, success) in [("look", true), ("fails", false)] {
        let data = azure.envelope("RemoteDependencyData", name).await["data"]["baseData"].clone();
        assert_eq!((&data["type"], &data["success"]), (&json!("InProc"), &json!(success)), "{data}");
        assert_eq!(data["properties"]["weir.span.origin"], "guest");
    }
    let thrown = azure.envelope("ExceptionData", "ValueError").await;
    assert_eq!(thrown["data"]["baseData"]["exceptions"][0]["message"], "no");
}

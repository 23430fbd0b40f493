//! Spans: the tree, names, kinds, attributes, events, status.

use opentelemetry::trace::{SpanKind, Status};

use super::*;
use crate::boundary::error::{CallErrorKind, NodeFailure};
use crate::telemetry::tree::{Style, Trace, render};

/// One request from end to end, under a caller's span.
fn whole_story(rig: &Rig) {
    let parent = caller("01");
    let usage = Usage::default();
    let request = rig.request(&parent);
    let flow = rig.flow(&request.context(), &usage);
    let node_usage = Usage::below(&usage);
    let prompt = PromptFacts { template: "{{question}}".to_owned(), variables: vec!["question".to_owned()] };
    let function = "OpenAI.chat".to_owned();
    let facts = NodeFacts { function, kind: NodeKind::Prompt, prompt: Some(prompt), ..NodeFacts::default() };
    let node = rig.node_with(&flow.context(), &node_usage, &facts);
    rig.rpc(&node.context(), &node_usage, chat()).finish(&chat_reply());
    node.finish(r#""so""#);
    flow.finish(r#"{"answer":"so"}"#);
    request.finish(rig.finish_request());
}

fn caller(flags: &str) -> Context {
    let mut headers = http::HeaderMap::new();
    let parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
    headers.insert("traceparent", parent.parse().unwrap());
    headers.insert("baggage", "user=alice".parse().unwrap());
    Propagators::default().extract(&headers)
}

#[track_caller]
fn check_tree(rig: &Rig, expected: &str) {
    let spans = rig.spans();
    let trace = Trace { id: String::new(), spans: spans.iter().map(tree::Span::from).collect() };
    assert_eq!(render(&trace, Style::Stable), expected);
}

/// All attributes of a span but those that vary.
#[track_caller]
fn check_attributes<const N: usize>(rig: &Rig, span: &str, expected: [(&str, &str); N]) {
    assert_eq!(texts(&rig.span(span).attributes), labels(expected), "{span}");
}

#[test]
fn a_request_is_a_tree_of_request_flow_node_and_call() {
    let rig = Rig::new();
    whole_story(&rig);
    check_tree(
        &rig,
        "server POST /score ok response_code=200\n\
         \x20 flow chat_basic ok run_status=Completed prompt_tokens=9 completion_tokens=5 total_tokens=14\n\
         \x20   node chat ok run_status=Completed prompt_tokens=9 completion_tokens=5 total_tokens=14\n\
         \x20     rpc openai_chat ok model=gpt prompt_tokens=9 completion_tokens=5 total_tokens=14\n",
    );
    for (name, kind) in [
        ("POST /score", SpanKind::Server),
        ("chat_basic", SpanKind::Internal),
        ("chat", SpanKind::Internal),
        ("openai_chat", SpanKind::Client),
    ] {
        let span = rig.span(name);
        assert_eq!(span.span_kind, kind, "{name}");
        assert_eq!(span.span_context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736", "{name}");
        assert_eq!(span.instrumentation_scope.name(), "promptflow", "{name}");
    }
    let request = rig.span("POST /score");
    assert_eq!(request.parent_span_id.to_string(), "00f067aa0ba902b7");
    assert!(request.parent_span_is_remote);
}

#[test]
fn each_span_lies_within_its_parent_in_time() {
    let rig = Rig::new();
    whole_story(&rig);
    let inward = ["POST /score", "chat_basic", "chat", "openai_chat"].map(|name| rig.span(name));
    for pair in inward.windows(2) {
        let [outer, inner] = pair else { unreachable!("windows of two") };
        assert!(outer.start_time <= inner.start_time && inner.start_time <= inner.end_time, "{}", inner.name);
        assert!(inner.end_time <= outer.end_time, "{}", inner.name);
    }
}

#[test]
fn spans_bear_the_promised_attributes() {
    let rig = Rig::new();
    whole_story(&rig);
    check_attributes(
        &rig,
        "POST /score",
        [
            ("http.request.method", "POST"),
            ("http.route", "/score"),
            ("http.response.status_code", "200"),
            ("url.path", "/score"),
            ("url.scheme", "http"),
            ("server.address", "localhost"),
            ("server.port", "8080"),
            ("client.address", "127.0.0.1"),
            ("user_agent.original", "curl/8"),
            ("network.protocol.version", "1.1"),
            ("request_id", "req-1"),
        ],
    );
    check_attributes(
        &rig,
        "chat_basic",
        [
            ("framework", "promptflow"),
            ("span_type", "Flow"),
            ("execution_target", "dag"),
            ("line_run_id", "req-1"),
            ("request_id", "req-1"),
            ("inputs", r#"{"question":"why?"}"#),
            ("output", r#"{"answer":"so"}"#),
            ("gen_ai.operation.name", "invoke_workflow"),
            ("gen_ai.workflow.name", "chat-basic"),
            ("__computed__.cumulative_token_count.prompt", "9"),
            ("__computed__.cumulative_token_count.completion", "5"),
            ("__computed__.cumulative_token_count.total", "14"),
        ],
    );
    check_attributes(
        &rig,
        "chat",
        [
            ("framework", "promptflow"),
            ("span_type", "Function"),
            ("function", "OpenAI.chat"),
            ("node_name", "chat"),
            ("execution_target", "dag"),
            ("line_run_id", "req-1"),
            ("request_id", "req-1"),
            ("inputs", r#"{"question":"why?"}"#),
            ("output", r#""so""#),
            ("prompt.template", "{{question}}"),
            ("prompt.variables", r#"{"question":"why?"}"#),
            ("__computed__.cumulative_token_count.prompt", "9"),
            ("__computed__.cumulative_token_count.completion", "5"),
            ("__computed__.cumulative_token_count.total", "14"),
        ],
    );
    check_attributes(
        &rig,
        "openai_chat",
        [
            ("framework", "promptflow"),
            ("span_type", "LLM"),
            ("function", "openai_chat"),
            ("node_name", "chat"),
            ("execution_target", "dag"),
            ("line_run_id", "req-1"),
            ("request_id", "req-1"),
            ("inputs", r#"{"model":"gpt","messages":[],"temperature":0.2,"max_tokens":9,"stream":true}"#),
            ("output", r#"{"id":"c1"}"#),
            ("llm.response.model", "gpt-2026"),
            ("llm.generated_message", r#"{"role":"assistant","content":"so"}"#),
            ("llm.usage.prompt_tokens", "9"),
            ("llm.usage.completion_tokens", "5"),
            ("llm.usage.total_tokens", "14"),
            ("__computed__.cumulative_token_count.prompt", "9"),
            ("__computed__.cumulative_token_count.completion", "5"),
            ("__computed__.cumulative_token_count.total", "14"),
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.provider.name", "openai"),
            ("gen_ai.request.model", "gpt"),
            ("gen_ai.request.temperature", "0.2"),
            ("gen_ai.request.max_tokens", "9"),
            ("gen_ai.request.stream", "true"),
            ("gen_ai.response.model", "gpt-2026"),
            ("gen_ai.response.id", "c1"),
            ("gen_ai.response.finish_reasons", r#"["stop"]"#),
            ("gen_ai.usage.input_tokens", "9"),
            ("gen_ai.usage.output_tokens", "5"),
            ("server.address", "api.example.com"),
            ("server.port", "443"),
        ],
    );
}

#[test]
fn events_say_again_what_attributes_say() {
    let rig = Rig::new();
    whole_story(&rig);
    let events =
        |name: &str| -> Vec<String> { rig.span(name).events.iter().map(|event| event.name.to_string()).collect() };
    assert_eq!(events("POST /score"), [""; 0]);
    assert_eq!(events("chat_basic"), ["promptflow.function.inputs", "promptflow.function.output"]);
    assert_eq!(
        events("chat"),
        ["promptflow.prompt.template", "promptflow.function.inputs", "promptflow.function.output"]
    );
    assert_eq!(
        events("openai_chat"),
        ["promptflow.function.inputs", "promptflow.llm.generated_message", "promptflow.function.output"]
    );
    let flow = rig.span("chat_basic");
    assert_eq!(texts(&flow.events[0].attributes), labels([("payload", r#"{"question":"why?"}"#)]));
}

#[test]
fn an_embedding_has_no_completion_tokens_but_counts_above() {
    let rig = Rig::new();
    let usage = Usage::default();
    let reply = RpcReply {
        tokens: Some(Tokens { prompt: 3, completion: 0, total: 3 }),
        embeddings: r#"[{"embedding.vector":"<3 dimensional vector>"}]"#.to_owned(),
        ..RpcReply::default()
    };
    rig.rpc(&Context::new(), &usage, RpcRequest::new(RpcKind::Embedding, "")).finish(&reply);
    check_tree(&rig, "rpc openai_chat ok prompt_tokens=3 completion_tokens=0 total_tokens=3\n");
    let attributes = texts(&rig.span("openai_chat").attributes);
    assert_eq!(attributes.get("span_type").map(String::as_str), Some("Embedding"));
    assert!(!attributes.contains_key("llm.usage.completion_tokens"));
    assert_eq!(usage.tokens(), Tokens { prompt: 3, completion: 0, total: 3 });
}

#[test]
fn a_stream_is_marked_as_iterated() {
    let rig = Rig::new();
    let usage = Usage::default();
    rig.rpc(&Context::new(), &usage, chat()).finish(&RpcReply { streamed: true, ..RpcReply::default() });
    rig.node(&Context::new(), &usage).finish_streamed(|| "[]".into());
    rig.flow(&Context::new(), &usage).finish_streamed("{}");
    check_tree(
        &rig,
        "node chat ok run_status=Completed output_type=iterated\n\
         flow chat_basic ok run_status=Completed output_type=iterated\n\
         rpc openai_chat ok model=gpt output_type=iterated\n",
    );
}

#[test]
fn a_failure_is_an_exception_and_an_error_on_the_span() {
    let rig = Rig::new();
    let usage = Usage::default();
    rig.node(&Context::new(), &usage).fail("GuestTrap", "node \"chat\" trapped", Some("unreachable\n at main"));
    let span = rig.span("chat");
    assert_eq!(span.status, Status::error("GuestTrap: node \"chat\" trapped"));
    let exception = span.events.iter().find(|event| event.name == "exception").unwrap();
    assert_eq!(
        texts(&exception.attributes),
        labels([
            ("exception.type", "GuestTrap"),
            ("exception.message", "node \"chat\" trapped"),
            ("exception.stacktrace", "unreachable\n at main"),
            ("exception.escaped", "False"),
        ])
    );
    check_tree(&rig, "node chat error run_status=Failed error.type=GuestTrap\n");
}

#[test]
fn a_span_that_is_dropped_was_cancelled() {
    let rig = Rig::new();
    let usage = Usage::default();
    let request = rig.request(&Context::new());
    let flow = rig.flow(&request.context(), &usage);
    let node = rig.node(&flow.context(), &usage);
    let rpc = rig.rpc(&node.context(), &usage, chat());
    drop((rpc, node, flow, request));
    for span in rig.spans() {
        assert_eq!(span.status, Status::error("Execution cancelled."), "{}", span.name);
    }
    check_tree(
        &rig,
        "server POST /score error error.type=ClientDisconnect\n\
         \x20 flow chat_basic error run_status=Canceled error.type=Cancelled\n\
         \x20   node chat error run_status=Canceled error.type=Cancelled\n\
         \x20     rpc openai_chat error model=gpt error.type=Cancelled\n",
    );
}

#[test]
fn a_failure_by_cancellation_is_a_cancellation() {
    let rig = Rig::new();
    rig.node(&Context::new(), &Usage::default()).fail(NodeFailure::Cancelled.code(), "the client went away", None);
    rig.rpc(&Context::new(), &Usage::default(), chat()).fail(CallErrorKind::Cancelled.code(), "given up");
    for span in rig.spans() {
        assert_eq!(span.status, Status::error("Execution cancelled."), "{}", span.name);
    }
}

#[test]
fn content_can_be_switched_off() {
    let rig = Rig::with(&Config { content: Content::None.into(), ..Config::default() });
    whole_story(&rig);
    for span in rig.spans() {
        for key in ["inputs", "output", "prompt.template", "prompt.variables", "llm.generated_message"] {
            assert!(!texts(&span.attributes).contains_key(key), "{key} on {}", span.name);
        }
        assert_eq!(span.events.len(), 0, "{}", span.name);
    }
}

#[test]
fn without_tracing_there_is_feedback_and_nothing_else() {
    let rig = Rig::with(&Config { tracing_enabled: false, ..Config::default() });
    whole_story(&rig);
    assert_eq!(rig.spans(), []);
    let request = rig.request(&caller("01"));
    assert_eq!(
        propagation::traceparent(&request.context()),
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "the caller's context is passed on"
    );
    rig.feedback(&caller("01"), vec![KeyValue::new("feedback", "good")]);
    check_tree(&rig, "feedback promptflow-feedback unset feedback=good\n");
}

#[test]
fn a_caller_that_does_not_sample_gets_no_spans() {
    let rig = Rig::new();
    let request = rig.request(&caller("00"));
    rig.flow(&request.context(), &Usage::default()).finish("{}");
    request.finish(rig.finish_request());
    assert_eq!(rig.spans(), []);
}

#[test]
fn feedback_joins_the_callers_trace_with_its_baggage() {
    let rig = Rig::new();
    let parent = caller("01");
    rig.feedback(&parent, vec![KeyValue::new("feedback", "good"), KeyValue::new("user", "bob")]);
    let span = rig.span("promptflow-feedback");
    assert_eq!(span.parent_span_id.to_string(), "00f067aa0ba902b7");
    assert_eq!((span.span_kind, span.status), (SpanKind::Internal, Status::Unset));
    let mut attributes = texts(&span.attributes);
    assert!(attributes.remove("feedback.id").is_some_and(|id| id.len() == 36), "{attributes:?}");
    assert_eq!(attributes, labels([("feedback", "good"), ("user", "alice")]));
}

#[test]
fn a_call_passes_its_own_span_on() {
    let rig = Rig::new();
    let rpc = rig.rpc(&caller("01"), &Usage::default(), chat());
    let header = rpc.headers().get("traceparent").unwrap().to_str().unwrap().to_owned();
    assert_eq!(header, propagation::traceparent(&rpc.context()));
    rpc.finish(&chat_reply());
    assert!(header.contains(&rig.span("openai_chat").span_context.span_id().to_string()), "{header}");
}

#[test]
fn a_span_closes_after_those_below_it_and_has_their_tokens() {
    let rig = Rig::new();
    let usage = Usage::default();
    let request = rig.request(&Context::new());
    let flow = rig.flow(&request.context(), &Usage::below(&usage));
    let flow_usage = Usage::below(&usage);
    let node = rig.node(&flow.context(), &flow_usage);
    let rpc = rig.rpc(&node.context(), &flow_usage, chat());
    // As when a client goes away: from the outside in, and a call still comes to its end.
    drop((request, flow, node));
    assert_eq!(rig.spans(), []);
    rpc.finish(&chat_reply());
    let spans = rig.spans();
    let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["openai_chat", "chat", "chat_basic", "POST /score"]);
    for pair in spans.windows(2) {
        assert!(pair[0].end_time <= pair[1].end_time, "{} ends after {}", pair[0].name, pair[1].name);
    }
    let attributes = texts(&rig.span("chat").attributes);
    assert_eq!(attributes.get("__computed__.cumulative_token_count.total").map(String::as_str), Some("14"));
    assert_eq!(rig.span("chat").status, Status::error("Execution cancelled."));
}

#[test]
fn a_task_that_was_aborted_may_still_open_a_span_within_its_parent() {
    let rig = Rig::new();
    let flow = rig.flow(&Context::new(), &Usage::default());
    let (cx, hold) = (flow.context(), Hold::of(&flow.context()));
    drop(flow);
    drop(rig.node(&cx, &Usage::default()));
    drop(hold);
    let names: Vec<_> = rig.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["chat", "chat_basic"]);
}

#[test]
fn a_flow_whose_node_failed_says_so_in_prompt_flows_words() {
    let rig = Rig::new();
    rig.flow(&Context::new(), &Usage::default()).fail_in("may_fail", "ValueError", "boom happened");
    let span = rig.span("chat_basic");
    let told = "Execution failure in 'may_fail': (ValueError) boom happened";
    assert_eq!(span.status, Status::error(format!("ToolExecutionError: {told}")));
    let attributes = texts(&span.attributes);
    assert_eq!(attributes.get("error.type").map(String::as_str), Some("ValueError"));
    let expected =
        labels([("exception.type", "ToolExecutionError"), ("exception.message", told), ("exception.escaped", "False")]);
    assert_eq!(texts(&span.events.iter().find(|event| event.name == "exception").unwrap().attributes), expected);
    rig.flow(&Context::new(), &Usage::default()).fail_in("n", "Cancelled", "the client went away");
    assert_eq!(rig.spans().last().unwrap().status, Status::error("Execution cancelled."));
}

#[test]
fn a_conversation_is_on_all_spans_of_its_flow() {
    let rig = Rig::new();
    let flow = rig.telemetry.flow(FlowStart {
        parent: &Context::new(),
        flow: &rig.flow,
        name: "chat_basic",
        request: RequestFacts { id: &rig.request, id_from_caller: false, target: "dag" },
        inputs: "{}",
        content: Some(Content::None),
        conversation: Some("c-1"),
        usage: Usage::default(),
    });
    let node = rig.node(&flow.context(), &Usage::default());
    rig.rpc(&node.context(), &Usage::default(), chat()).finish(&chat_reply());
    drop((node, flow));
    for span in rig.spans() {
        let attributes = texts(&span.attributes);
        assert_eq!(attributes.get("gen_ai.conversation.id").map(String::as_str), Some("c-1"), "{}", span.name);
        // What the flow says of content holds for them as well.
        assert!(!attributes.contains_key("inputs") && span.events.is_empty(), "{}", span.name);
    }
}

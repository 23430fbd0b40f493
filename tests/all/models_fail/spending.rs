//! What a request may spend on models: it is the host that counts, over all its nodes.

use harness::{Collector, FakeModel, TestHost};
use serde_json::{Value, json};

/// A flow whose node asks a model `times` times, under this budget.
fn flow(budget: &str, streams: bool) -> String {
    format!(
        "
{budget}
inputs: {{times: {{type: int}}}}
outputs: {{answers: {{type: object, reference: '${{often.output}}'}}}}
nodes:
- name: often
  type: wasm
  source: {{type: code, path: guests/llm_asks_often.wasm}}
  inputs: {{connection: open_ai_connection, question: '12345678', times: '${{inputs.times}}', streams: {streams}}}
  grants: {{llm: [open_ai_connection]}}
"
    )
}

/// Asks so many times under this budget: how often there was an answer, and what was said when there was none.
async fn ask(model: &FakeModel, budget: &str, streams: bool, times: u32) -> (Value, Collector) {
    let collector = Collector::start();
    let host = TestHost::written("often", &flow(budget, streams)).model(model).collector(&collector).start().await;
    let reply = host.score(json!({"times": times})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    host.stop().await;
    (reply.json()["answers"].clone(), collector)
}

#[tokio::test]
async fn a_node_that_asks_without_end_gets_as_many_answers_as_its_flow_allows() {
    let model = FakeModel::replies("one two").start();
    let (answers, collector) = ask(&model, "budget: {calls: 20}", false, 1000).await;
    assert_eq!(
        (&answers["answered"], &answers["refused"], &answers["kind"]),
        (&json!(20), &json!(980), &json!("Exhausted"))
    );
    let message =
        "the request has made 20 calls of models, all that it may; raise `budget.calls` of the flow if it needs more";
    assert_eq!(answers["message"], json!(message));
    assert_eq!(model.requests().len(), 20);
    let unasked = collector.metric("weir.upstream.unasked").label("reason", "call_budget");
    assert_eq!(unasked.label("connection", "open_ai_connection").count(), 980);
    assert_eq!(collector.metric("rpc_request").label("exception", "Exhausted").count(), 980);
}

#[tokio::test]
async fn without_a_word_a_request_may_make_two_hundred_calls() {
    let model = FakeModel::replies("one").start();
    let (answers, _) = ask(&model, "", false, 250).await;
    assert_eq!((&answers["answered"], &answers["refused"]), (&json!(200), &json!(50)));
    assert_eq!(model.requests().len(), 200);
}

#[tokio::test]
async fn tokens_are_counted_as_the_service_tells_them() {
    let model = FakeModel::replies("one two").start();
    let (one, _) = ask(&model, "", false, 1).await;
    assert_eq!(one["answered"], json!(1));
    let (answers, collector) = ask(&model, "budget: {tokens: 20}", false, 50).await;
    let spent = collector.metric("token_consumption").label("token_type", "total_tokens").sum();
    let each = spent / answers["answered"].as_f64().expect("a number");
    // The last call began while something was left.
    assert!((20.0..20.0 + each).contains(&spent), "{spent} tokens in calls of {each}");
    assert_eq!(answers["kind"], json!("Exhausted"));
    let message = "the request has used up 20 tokens of models, all that it may; raise `budget.tokens` of the flow if it needs more";
    assert_eq!(answers["message"], json!(message));
    let unasked = collector.metric("weir.upstream.unasked").label("reason", "token_budget").count();
    assert_eq!(json!(unasked), answers["refused"]);
}

#[tokio::test]
async fn streams_that_are_left_cost_what_they_must_have_cost() {
    let model = FakeModel::replies("one two three four").start();
    // Two tokens of question, with the brackets around it more, and what was heard of the answer.
    let (answers, _) = ask(&model, "budget: {tokens: 200}", true, 100).await;
    let answered = answers["answered"].as_u64().expect("a number");
    assert!((5..=40).contains(&answered), "{answers}");
    assert_eq!(answers["kind"], json!("Exhausted"));
}

#[tokio::test]
async fn nodes_that_a_node_calls_spend_of_the_same() {
    let flow = "
budget: {calls: 5}
inputs: {times: {type: int}}
outputs:
  called: {type: object, reference: '${caller.output}'}
  often: {type: object, reference: '${often.output}'}
nodes:
- name: caller
  type: wasm
  source: {type: code, path: guests/nodes_calls_another.wasm}
  inputs: {node: often, other_inputs: {connection: open_ai_connection, question: hi, times: 3}}
  grants: {nodes: [often]}
- name: often
  type: wasm
  source: {type: code, path: guests/llm_asks_often.wasm}
  inputs: {connection: open_ai_connection, question: hi, times: '${inputs.times}'}
  grants: {llm: [open_ai_connection]}
";
    let model = FakeModel::replies("one").start();
    let host = TestHost::written("together", flow).model(&model).start().await;
    for _ in 0..2 {
        // Each request has a budget of its own.
        let reply = host.score(json!({"times": 4})).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let (often, called) = (&reply.json()["often"], &reply.json()["called"]);
        let both = |what: &str| often[what].as_u64().zip(called[what].as_u64()).map(|(one, other)| one + other);
        assert_eq!((both("answered"), both("refused")), (Some(5), Some(2)), "{}", reply.text());
    }
    assert_eq!(model.requests().len(), 10);
}

#[tokio::test]
async fn an_llm_node_without_budget_fails_by_name() {
    let model = FakeModel::echo().start();
    let host = TestHost::flow("llm_node").model(&model);
    let file = host.path().join("flow.dag.yaml");
    let flow = std::fs::read_to_string(&file).expect("the copy of the flow");
    let host = host.file("flow.dag.yaml", format!("budget: {{calls: 1}}\n{flow}")).start().await;
    host.score(json!({"question": "hi"})).await.assert_ok(json!({"answer": "hi"}));
    host.stop().await;
    let host = TestHost::flow("llm_node").model(&model).env("WEIR_LLM_MAX_CALLS", "0").start().await;
    let reply = host.score(json!({"question": "hi"})).await;
    let error = &reply.json()["error"];
    assert_eq!((reply.status, &error["innerError"]["code"]), (500, &json!("NodeSystemError")), "{error}");
    assert!(error["message"].as_str().unwrap_or_default().contains("made 0 calls of models"), "{error}");
    assert_eq!(model.requests().len(), 1);
}

#[tokio::test]
async fn a_flow_that_wants_more_than_the_operator_allows_does_not_serve() {
    let model = FakeModel::echo().start();
    let host = TestHost::written("greedy", &flow("budget: {calls: 30, tokens: 2000}", false)).model(&model);
    let exit = host.env("WEIR_LLM_MAX_CALLS", "20").env("WEIR_LLM_MAX_TOKENS", "1000").refuses().await;
    for expected in [
        "budget.calls: 30 is more than 20, the most a flow may have",
        "[flow.dag.yaml:2:17]",
        "budget.tokens: 2000 is more than 1000, the most a flow may have",
        "[flow.dag.yaml:2:29]",
    ] {
        assert!(exit.stderr.contains(expected), "{expected} in:\n{}", exit.stderr);
    }
    let host = TestHost::written("wrong", &flow("budget: {calls: none, tokens: 0}", false)).model(&model);
    let exit = host.refuses().await;
    for expected in ["budget.calls: \"none\" must be a whole number", "budget.tokens: \"0\" must be a whole number"] {
        assert!(exit.stderr.contains(expected), "{expected} in:\n{}", exit.stderr);
    }
}

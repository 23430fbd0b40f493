//! Aggregation nodes: what they are given of the lines of a batch.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::flow::Flow;

const FLOW: &str = "
inputs: {grade: {type: int}}
outputs:
  line: {type: object, reference: '${line.output}'}
  total: {type: object, reference: '${sum.output}'}
nodes:
- {name: last, type: wasm, source: {path: echo.wasm}, aggregation: true, inputs: {sum: '${sum.output.k}', grade: '${flow.grade}'}}
- {name: line, type: wasm, source: {path: echo.wasm}, inputs: {grade: '${inputs.grade}'}}
- {name: good, type: wasm, source: {path: echo.wasm}, activate: {when: '${inputs.grade}', is: 1}}
- name: sum
  type: wasm
  source: {path: echo.wasm}
  aggregation: true
  inputs: {line: '${line}', k: '${line.output.k}', good: '${good.output}', part: '${good.output.k}', grade: '${inputs.grade}', literal: 5}
- {name: never, type: wasm, source: {path: echo.wasm}, aggregation: true, activate: {when: '${inputs.grade}', is: 1}}
- {name: after, type: wasm, source: {path: echo.wasm}, aggregation: true, inputs: {x: '${never.output}'}}
";

/// A line of this grade, all of whose nodes answer this.
fn line(flow: &Arc<Flow>, grade: u8, answer: &Value) -> Collected {
    let inputs = Inputs::decode(flow, json!({"grade": grade}).to_string().as_bytes()).unwrap();
    let mut plan = Plan::of_line(flow.clone(), inputs);
    while !plan.is_done() {
        for step in plan.ready().unwrap() {
            if let Step::Run { node, .. } = step {
                plan.completed(node, Json::from(answer.clone()));
            }
        }
    }
    let collected = plan.collected();
    // By way of a file of results, as in a run that was resumed.
    let read = Collected::from_json(&Json::parse(collected.to_json().as_str()).unwrap()).unwrap();
    assert_eq!(read, collected);
    read
}

/// Runs the aggregation nodes, each of which answers `{"k": NAME}`: what they were given, and the outputs.
fn aggregated(flow: &Arc<Flow>, lines: &[Collected]) -> (Vec<(String, Value)>, Value) {
    let mut plan = Plan::of_batch(flow.clone(), lines);
    let mut given = Vec::new();
    while !plan.is_done() {
        for step in plan.ready().unwrap() {
            if let Step::Run { node, inputs } = step {
                let name = plan.name(node);
                plan.completed(node, Json::from(json!({"k": name})));
                given.push((name, serde_json::from_str(inputs.as_str()).unwrap()));
            }
        }
    }
    (given, serde_json::from_str(&plan.outputs_text()).unwrap())
}

#[test]
fn an_aggregation_node_is_given_lists_of_what_the_lines_gave() {
    let flow = Arc::new(flow(FLOW));
    let lines = [line(&flow, 1, &json!({"k": "a"})), line(&flow, 2, &json!(7))];
    let (given, outputs) = aggregated(&flow, &lines);
    let sum = json!({
        "line": [{"k": "a"}, 7],
        "k": ["a", null],
        "good": [{"k": "a"}, null],
        "part": ["a", null],
        "grade": [1, 2],
        "literal": 5,
    });
    // What another aggregation node gave is no list.
    let last = json!({"sum": "sum", "grade": [1, 2]});
    assert_eq!(given, [("sum".to_owned(), sum), ("last".to_owned(), last)]);
    assert_eq!(outputs, json!({"sum": {"k": "sum"}, "last": {"k": "last"}, "never": null, "after": null}));
}

#[test]
fn a_batch_without_lines_gives_empty_lists() {
    let flow = Arc::new(flow(FLOW));
    let (given, _) = aggregated(&flow, &[]);
    assert_eq!(given[0].1["grade"], json!([]));
}

#[test]
fn a_request_runs_no_aggregation_node_and_leaves_its_outputs_out() {
    let flow = Arc::new(flow(FLOW));
    let mut plan = Plan::new(flow.clone(), Inputs::decode(&flow, br#"{"grade":2}"#).unwrap());
    assert_eq!(plan.ready_text(), [r#"line {"grade":2}"#, "good bypassed"]);
    // A part that only an aggregation node asks for keeps no request from being answered.
    plan.complete("line", "7");
    assert!(plan.is_done());
    assert_eq!(plan.outputs_text(), r#"{"line":7}"#);
}

#[test]
fn aggregation_nodes_that_cannot_run_want_nothing() {
    let text = "
nodes:
- {name: a, type: wasm, source: {path: echo.wasm}}
- {name: b, type: python, source: {path: b.py}, aggregation: true, inputs: {x: '${a.output}'}}
";
    let flow = Arc::new(flow(text));
    let mut plan = plan(text, "");
    plan.ready_text();
    plan.complete("a", "1");
    assert!(plan.collected().is_empty());
    assert!(Plan::of_batch(flow, &[]).is_done());
}

proptest! {
    #[test]
    fn lists_are_in_the_order_of_the_lines(lines in prop::collection::vec((0..3_u8, prop::option::of(0..100_u8)), 0..12)) {
        let flow = Arc::new(flow(FLOW));
        let answer = |k: &Option<u8>| k.map_or_else(|| json!([1]), |k| json!({"k": k}));
        let collected: Vec<_> = lines.iter().map(|(grade, k)| line(&flow, *grade, &answer(k))).collect();
        let list = |value: &dyn Fn(u8, &Option<u8>) -> Value| Value::from_iter(lines.iter().map(|(grade, k)| value(*grade, k)));
        let if_good = |grade: u8, value: Value| if grade == 1 { value } else { Value::Null };
        let (given, _) = aggregated(&flow, &collected);
        prop_assert_eq!(&given[0].1, &json!({
            "line": list(&|_, k| answer(k)),
            "k": list(&|_, k| json!(k)),
            "good": list(&|grade, k| if_good(grade, answer(k))),
            "part": list(&|grade, k| if_good(grade, json!(k))),
            "grade": list(&|grade, _| json!(grade)),
            "literal": 5,
        }));
    }
}

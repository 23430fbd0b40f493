//! Which nodes a request runs: the graphs of prompt flow's own fixtures for `activate`, with what it expects of each.

use std::collections::BTreeSet;
use std::fs;

use harness::{Collector, TestHost};
use serde_json::{Value, json};

/// Files of the flows: a template that prints what it is given, and one that prints two things.
const TEMPLATES: [(&str, &str); 2] = [("say.jinja2", "{{text}}"), ("pair.jinja2", "{{a}}, {{b}}")];

/// Runs a flow once for each case: a request, the reply, and the nodes that are bypassed.
async fn check(flow: &str, cases: &[(Value, Value, &[&str])]) {
    for (request, reply, bypassed) in cases {
        let collector = Collector::start();
        let host = TestHost::written("activates", flow).collector(&collector);
        for (name, text) in TEMPLATES {
            fs::write(host.path().join(name), text).expect("the flow folder can be written");
        }
        let host = host.start().await;
        host.score(request.clone()).await.assert_ok(reply.clone());
        host.stop().await;

        let counted = collector.metric("node_request").label("run_status", "Bypassed");
        let counted: BTreeSet<_> = counted.points.keys().map(|labels| labels["node"].clone()).collect();
        assert_eq!(counted, bypassed.iter().map(|&name| name.to_owned()).collect(), "{request}");
        let spans = collector.spans();
        assert!(!spans.iter().any(|span| counted.contains(&span.name)), "{request}: a bypassed node has a span");
    }
}

/// `conditional_flow_with_activate`
#[tokio::test]
async fn branches_are_chosen_by_parts_of_what_came_before() {
    let flow = "
inputs: {has_id: {type: bool}, retriever: {type: string, default: none}}
outputs: {method: {type: object, reference: '${method.output}'}}
nodes:
- name: id
  type: wasm
  source: {path: guests/run_returns.wasm}
  inputs: {has_id: '${inputs.has_id}', content: c}
- name: job
  type: prompt
  source: {path: say.jinja2}
  inputs: {text: '${id.output.content}'}
  activate: {when: '${id.output.has_id}', is: false}
- name: info
  type: wasm
  source: {path: guests/run_returns.wasm}
  inputs: {incident: '${id.output}', retriever: '${inputs.retriever}'}
  activate: {when: '${id.output.has_id}', is: true}
- name: tsg
  type: prompt
  source: {path: say.jinja2}
  inputs: {text: '${info.output.incident.content}'}
  activate: {when: '${info.output.retriever}', is: tsg}
- name: icm
  type: prompt
  source: {path: say.jinja2}
  inputs: {text: '${info.output.incident.content}'}
  activate: {when: '${info.output.retriever}', is: icm}
- name: kql
  type: prompt
  source: {path: say.jinja2}
  inputs: {text: '${info.output.incident.content}'}
  activate: {when: '${info.output.retriever}', is: tsg}
- name: steps
  type: wasm
  source: {path: guests/run_returns.wasm}
  inputs: {first: '${icm.output}', second: '${tsg.output}', third: '${kql.output}'}
- name: summary
  type: wasm
  source: {path: guests/run_returns.wasm}
  inputs: {steps: '${steps.output}'}
- name: method
  type: wasm
  source: {path: guests/run_returns.wasm}
  inputs: {one: '${job.output}', two: '${summary.output}'}
";
    let two = |steps: Value| json!({"method": {"two": {"steps": steps}}});
    check(
        flow,
        &[
            (json!({"has_id": true, "retriever": "tsg"}), two(json!({"second": "c", "third": "c"})), &["job", "icm"]),
            (
                json!({"has_id": false}),
                json!({"method": {"one": "c"}}),
                &["info", "icm", "kql", "tsg", "steps", "summary"],
            ),
            (json!({"has_id": true, "retriever": "icm"}), two(json!({"first": "c"})), &["job", "kql", "tsg"]),
        ],
    )
    .await;
}

/// `activate_condition_always_met`: a condition of two literals. What was bypassed prints as Python prints it.
#[tokio::test]
async fn a_condition_that_is_always_met_runs_a_node_without_any_of_its_inputs() {
    let flow = "
inputs: {text: {type: string, default: hello}}
outputs: {output: {type: string, reference: '${c.output}'}, given: {type: object, reference: '${d.output}'}}
nodes:
- {name: a, type: prompt, source: {path: say.jinja2}, inputs: {text: '${inputs.text}'}, activate: {when: '${inputs.text}', is: hi}}
- {name: b, type: prompt, source: {path: say.jinja2}, inputs: {text: '${inputs.text}'}, activate: {when: '${inputs.text}', is: hi}}
- {name: c, type: prompt, source: {path: pair.jinja2}, inputs: {a: '${a.output}', b: '${b.output}'}, activate: {when: dummy, is: dummy}}
- {name: d, type: wasm, source: {path: guests/run_returns.wasm}, inputs: {a: '${a.output.x}', b: 1}, activate: {when: dummy, is: dummy}}
";
    check(flow, &[(json!({}), json!({"output": "None, None", "given": {"b": 1}}), &["a", "b"])]).await;
}

/// `activate_with_no_inputs`
#[tokio::test]
async fn a_node_without_inputs_waits_for_its_condition() {
    let flow = "
inputs: {text: {type: string}}
outputs: {text: {type: string, reference: '${a.output}'}}
nodes:
- {name: a, type: prompt, source: {path: say.jinja2}, inputs: {text: '${inputs.text}'}}
- {name: b, type: wasm, source: {path: guests/run_returns.wasm}, inputs: {}, activate: {when: '${a.output}', is: hello world}}
";
    check(
        flow,
        &[
            (json!({"text": "hello x"}), json!({"text": "hello x"}), &["b"]),
            (json!({"text": "hello world"}), json!({"text": "hello world"}), &[]),
        ],
    )
    .await;
}

/// `all_depedencies_bypassed_with_activate_met`
#[tokio::test]
async fn a_condition_that_is_met_outweighs_inputs_that_were_all_bypassed() {
    let flow = "
inputs: {text: {type: string, default: hi}}
outputs: {output: {type: string, reference: '${b.output}'}}
nodes:
- {name: a, type: prompt, source: {path: say.jinja2}, inputs: {text: '${inputs.text}'}, activate: {when: '${inputs.text}', is: world}}
- {name: b, type: prompt, source: {path: say.jinja2}, inputs: {text: '${a.output}'}, activate: {when: '${inputs.text}', is: hi}}
";
    check(flow, &[(json!({}), json!({"output": "None"}), &["a"])]).await;
}

/// `all_nodes_bypassed`
#[tokio::test]
async fn a_chain_is_bypassed_with_its_first_node() {
    let flow = "
inputs: {text: {type: string}}
outputs: {result: {type: string, reference: '${third.output}'}}
nodes:
- {name: first, type: prompt, source: {path: say.jinja2}, inputs: {text: '${inputs.text}'}, activate: {when: '${inputs.text}', is: hello}}
- {name: second, type: prompt, source: {path: say.jinja2}, inputs: {text: '${first.output}'}}
- {name: third, type: prompt, source: {path: say.jinja2}, inputs: {text: '${second.output}'}}
";
    check(
        flow,
        &[
            (json!({"text": "hi"}), json!({"result": null}), &["first", "second", "third"]),
            (json!({"text": "hello"}), json!({"result": "hello"}), &[]),
        ],
    )
    .await;
}

/// `unordered_nodes_with_activate`
#[tokio::test]
async fn nodes_may_stand_before_those_that_they_wait_for() {
    let flow = "
inputs: {text: {type: string}, skip: {type: bool}}
outputs: {result: {type: string, reference: '${third}'}}
nodes:
- {name: third, type: prompt, source: {path: say.jinja2}, inputs: {text: '${second}'}}
- {name: first, type: prompt, source: {path: say.jinja2}, inputs: {text: '${inputs.text}'}}
- {name: second, type: prompt, source: {path: say.jinja2}, inputs: {text: '${first}'}, activate: {when: '${inputs.skip}', is: true}}
";
    check(
        flow,
        &[
            (json!({"text": "a", "skip": true}), json!({"result": "a"}), &[]),
            (json!({"text": "a", "skip": false}), json!({"result": null}), &["second", "third"]),
        ],
    )
    .await;
}

/// `activate_flow`, and a part of an output that was bypassed.
#[tokio::test]
async fn what_asks_a_bypassed_node_is_bypassed_and_null_has_no_parts() {
    let flow = "
inputs: {text: {type: string, default: world}}
outputs: {one: {type: string, reference: '${c.output}'}, two: {type: string, reference: '${d.output}'}}
nodes:
- {name: a, type: prompt, source: {path: say.jinja2}, inputs: {text: '${inputs.text}'}, activate: {when: '${inputs.text}', is: hello}}
- {name: b, type: prompt, source: {path: say.jinja2}, inputs: {text: '${inputs.text}'}, activate: {when: '${a.output}', is: hello}}
- {name: c, type: prompt, source: {path: say.jinja2}, inputs: {text: '${b.output}'}}
- {name: d, type: prompt, source: {path: say.jinja2}, inputs: {text: '${inputs.text}'}, activate: {when: '${inputs.text}', is: world}}
";
    check(flow, &[(json!({}), json!({"one": null, "two": "world"}), &["a", "b", "c"])]).await;

    let part = flow.replace("${c.output}", "${c.output.x}");
    let host = TestHost::written("part", &part);
    fs::write(host.path().join("say.jinja2"), TEMPLATES[0].1).expect("the flow folder can be written");
    let message = "Flow execution failed. Invalid property 'x' when accessing the node 'c'. Please check the property and \
                   try again.";
    let code = json!({"code": "InvalidReferenceProperty"});
    let error = json!({"code": "UserError", "message": message, "innerError": code});
    host.start().await.score(json!({})).await.assert_error(400, json!({"error": error}));
}

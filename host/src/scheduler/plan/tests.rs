//! What runs, in tables. That the order in which nodes complete changes nothing: see tests/any_order.rs; what becomes of a
//! batch: see tests/batch.rs.

pub(crate) mod any_order;
mod batch;

use super::*;
use crate::flow::tests::flow;

/// A flow whose nodes are components, one `(name, rest of the node)` each; it shows the outputs of all of them.
fn manifest(nodes: &[(&str, &str)]) -> String {
    let mut text = "inputs: {text: {type: string, default: hi}, n: {type: int, default: 1}}\noutputs:\n".to_owned();
    for (name, _) in nodes {
        text += &format!("  {name}: {{type: string, reference: '${{{name}.output}}'}}\n");
    }
    text += "nodes:\n";
    for (name, rest) in nodes {
        text += &format!("- {{name: {name}, type: wasm, source: {{path: echo.wasm}}{rest}}}\n");
    }
    text
}

fn plan(manifest: &str, body: &str) -> Plan {
    let flow = flow(manifest);
    let inputs = Inputs::decode(&flow, body.as_bytes()).unwrap();
    Plan::new(Arc::new(flow), inputs)
}

impl Plan {
    fn name(&self, node: NodeIndex) -> String {
        self.flow.node(node).id.as_str().to_owned()
    }

    /// Steps as text: `name {inputs}` or `name bypassed`.
    fn ready_text(&mut self) -> Vec<String> {
        let steps = self.ready().unwrap();
        steps
            .into_iter()
            .map(|step| match step {
                Step::Run { node, inputs } => format!("{} {inputs}", self.name(node)),
                Step::Bypass { node } => format!("{} bypassed", self.name(node)),
            })
            .collect()
    }

    fn complete(&mut self, node: &str, output: &str) {
        self.completed(self.flow.find(node).unwrap(), Json::parse(output).unwrap());
    }

    fn outputs_text(&self) -> String {
        let outputs = self.outputs().unwrap();
        Json::object(outputs.iter().map(|(name, value)| (*name, value))).to_string()
    }
}

#[test]
fn chunks_of_a_stream_go_to_python_and_their_text_to_all_others() {
    let python = |name: &str, input: &str| {
        format!("- {{name: {name}, type: python, source: {{type: code, path: ask.py}}, inputs: {{{input}}}}}\n")
    };
    let manifest = format!(
        "inputs: {{}}\noutputs:\n  whole: {{type: string, reference: '${{words.output}}'}}\nnodes:\n{}{}\
         - {{name: told, type: prompt, source: {{path: hello.jinja2}}, inputs: {{name: '${{words.output}}'}}}}\n\
         - {{name: other, type: wasm, source: {{path: echo.wasm}}, inputs: {{text: '${{words.output}}'}}}}\n\
         - {{name: late, type: wasm, source: {{path: echo.wasm}}, activate: {{when: '${{words.output}}', is: x}}}}\n",
        python("words", ""),
        python("count", "words: '${words.output}', of: 1"),
    );
    let mut plan = plan(&manifest, "{}");
    assert_eq!(plan.ready_text(), ["words {}"]);
    let chunks = [r#""one ""#, "1.0", r#"{"a":null}"#, "true"].map(|chunk| Json::parse(chunk).unwrap());
    plan.streamed(plan.flow.find("words").unwrap(), chunks.to_vec());
    let steps = plan.ready_text();
    let text = "\"one 1.0{'a': None}True\"";
    assert_eq!(steps[0], r#"count {"words":{"x-weir-chunks":["one ",1.0,{"a":null},true]},"of":1}"#);
    assert!(steps[1].starts_with("told ") && steps[1].contains(&format!("\"name\":{text}")), "{}", steps[1]);
    assert_eq!(steps[2..], [format!("other {{\"text\":{text}}}"), "late bypassed".to_owned()]);
    for node in ["count", "told", "other"] {
        plan.complete(node, "0");
    }
    assert_eq!(plan.outputs_text(), format!("{{\"whole\":{text}}}"));
}

/// Runs to the end; every node answers with its name. `expected` are the nodes that ran, in order, and after `-` those
/// that were bypassed.
#[track_caller]
fn check(nodes: &[(&str, &str)], body: &str, expected: &str) {
    let mut plan = plan(&manifest(nodes), body);
    let (mut ran, mut bypassed) = (Vec::new(), Vec::new());
    while !plan.is_done() {
        let steps = plan.ready().unwrap();
        assert!(!steps.is_empty(), "nothing is ready, but the plan is not done");
        for step in steps {
            match step {
                Step::Run { node, .. } => {
                    ran.push(plan.name(node));
                    let output = Json::string(&plan.name(node));
                    plan.completed(node, output);
                }
                Step::Bypass { node } => bypassed.push(plan.name(node)),
            }
        }
    }
    assert_eq!(format!("{} - {}", ran.join(" "), bypassed.join(" ")).trim(), expected);
    let null = |name: &str| if bypassed.iter().any(|node| node == name) { "null".into() } else { format!("{name:?}") };
    let outputs: Vec<_> = nodes.iter().map(|(name, _)| format!("{name:?}:{}", null(name))).collect();
    assert_eq!(plan.outputs_text(), format!("{{{}}}", outputs.join(",")));
}

const CONDITIONAL: [(&str, &str); 5] = [
    ("content_safety", ", inputs: {text: '${inputs.text}'}"),
    ("search", ", inputs: {text: '${inputs.text}'}, activate: {when: '${content_safety.output}', is: content_safety}"),
    ("default", ", inputs: {text: '${inputs.text}'}, activate: {when: '${content_safety.output}', is: other}"),
    ("late", ", inputs: {x: '${default.output}'}"),
    ("answer", ", inputs: {a: '${default.output}', b: '${search.output}'}"),
];

#[test]
fn one_of_two_branches_runs_and_what_follows_the_other_is_bypassed() {
    check(&CONDITIONAL, "{}", "content_safety search answer - default late");
}

#[test]
fn nodes_may_stand_in_any_order() {
    let mut nodes = CONDITIONAL;
    nodes.reverse();
    check(&nodes, "{}", "content_safety search answer - default late");
}

#[test]
fn a_condition_that_is_met_runs_a_node_whose_inputs_were_all_bypassed() {
    check(
        &[
            ("a", ", activate: {when: '${inputs.text}', is: bye}"),
            ("b", ", inputs: {x: '${a.output}'}, activate: {when: '${inputs.text}', is: hi}"),
        ],
        "{}",
        "b - a",
    );
}

#[test]
fn a_literal_condition_is_always_or_never_met() {
    check(&[("a", ", activate: {when: dummy, is: dummy}"), ("b", ", activate: {when: 1, is: 2}")], "{}", "a - b");
}

#[test]
fn a_condition_needs_no_inputs() {
    check(&[("a", ""), ("b", ", activate: {when: '${a.output}', is: a}")], "{}", "a b -");
}

#[test]
fn all_nodes_may_be_bypassed() {
    check(
        &[
            ("a", ", activate: {when: '${inputs.text}', is: bye}"),
            ("b", ", inputs: {x: '${a.output}', y: '${inputs.text}'}"),
            ("c", ", activate: {when: '${b.output}', is: null}"),
        ],
        "{}",
        "- a b c",
    );
}

#[test]
fn conditions_compare_as_python_does() {
    for (is, runs) in [("true", true), ("1.0", true), ("'1'", false), ("2", false)] {
        let expected = if runs { "a -" } else { "- a" };
        check(&[("a", &format!(", activate: {{when: '${{inputs.n}}', is: {is}}}"))], "{}", expected);
    }
}

#[test]
fn independent_nodes_are_ready_at_once_and_each_is_handed_out_once() {
    let nodes = [
        ("join", ", inputs: {l: '${left.output}', r: '${right.output.k[0]}', n: '${inputs.n}', lit: [1]}"),
        ("left", ", inputs: {text: '${inputs.text}'}"),
        ("right", ""),
    ];
    let mut plan = plan(&manifest(&nodes), r#"{"n":123456789012345678901234567890}"#);
    assert_eq!(plan.ready_text(), [r#"left {"text":"hi"}"#, "right {}"]);
    assert!(plan.ready_text().is_empty());
    plan.complete("right", r#"{"k":["é"]}"#);
    assert!(plan.ready_text().is_empty());
    plan.complete("left", "null");
    assert_eq!(plan.ready_text(), [r#"join {"l":null,"r":"é","n":123456789012345678901234567890,"lit":[1]}"#]);
    assert!(!plan.is_done());
    plan.complete("join", "1");
    assert!(plan.is_done());
    assert_eq!(plan.outputs_text(), r#"{"join":1,"left":null,"right":{"k":["é"]}}"#);
}

#[test]
fn an_input_from_a_bypassed_node_is_null_in_a_template_and_absent_in_a_component() {
    let text = "
nodes:
- {name: a, type: wasm, source: {path: echo.wasm}, activate: {when: 1, is: 2}}
- {name: p, type: prompt, source: {path: hello.jinja2}, inputs: {name: '${a.output.x}'}, activate: {when: 1, is: 1}}
- {name: w, type: wasm, source: {path: echo.wasm}, inputs: {x: '${a.output}', y: 2}, activate: {when: 1, is: 1}}
";
    assert_eq!(
        plan(text, "").ready_text(),
        ["a bypassed", r#"p {"template":"Hello {{name}}","name":null,"_inputs_to_escape":[]}"#, r#"w {"y":2}"#]
    );
}

#[test]
fn nothing_starts_after_a_failure() {
    let mut plan = plan(&manifest(&[("a", ""), ("b", ""), ("c", ", inputs: {x: '${b.output}'}")]), "{}");
    plan.ready_text();
    plan.failed(plan.flow.find("a").unwrap());
    assert!(plan.is_done());
    plan.complete("b", "1");
    assert!(plan.ready_text().is_empty());
    assert_eq!(plan.outputs(), Err(OutputsError::Unfinished { output: "a".into(), node: "a".into() }));
}

#[test]
fn a_property_that_is_not_there_fails_the_flow() {
    let expected = InvalidReferenceProperty { node: "a".into(), property: "k[1]".into() };
    for rest in [", inputs: {x: '${a.output.k[1]}'}", ", activate: {when: '${a.output.k[1]}', is: 1}"] {
        let mut plan = plan(&manifest(&[("a", ""), ("b", rest)]), "{}");
        plan.ready_text();
        plan.complete("a", r#"{"k":[0]}"#);
        assert_eq!(plan.ready(), Err(expected.clone()));
        assert!(plan.is_done());
    }
    assert_eq!(
        expected.to_string(),
        "Flow execution failed. Invalid property 'k[1]' when accessing the node 'a'. Please check the property and try again."
    );
}

const OUTPUTS: &str = "
inputs: {n: {type: int, default: 5}}
outputs:
  z: {type: string, reference: '${a.output.k}'}
  literal: {type: object, reference: {b: 1, a: 2}}
  input: {type: int, reference: '${inputs.n}'}
  hidden: {type: string, reference: '${a.output.gone}', evaluation_only: true}
  stream: {type: string, reference: '${s.output}'}
nodes:
- {name: a, type: wasm, source: {path: echo.wasm}}
- {name: s, type: wasm, source: {path: echo.wasm}}
";

#[test]
fn outputs_come_in_declared_order_with_literals_and_without_hidden_ones() {
    let mut plan = plan(OUTPUTS, "{}");
    plan.ready_text();
    plan.complete("a", r#"{"k":1.50}"#);
    let streamed = plan.flow.find("s").unwrap();
    assert!(plan.waits_only_for(streamed));
    let first: Vec<_> = plan.outputs_beside(streamed).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(first, ["z", "literal", "input"]);
    plan.complete("s", "\"done\"");
    assert!(!plan.waits_only_for(streamed));
    assert_eq!(plan.outputs_text(), r#"{"z":1.50,"literal":{"b":1,"a":2},"input":5,"stream":"done"}"#);
}

#[test]
fn a_part_of_a_bypassed_output_is_an_error_and_so_is_one_that_is_not_there() {
    let text = "
outputs: {x: {type: string, reference: '${a.output.k}'}}
nodes: [{name: a, type: wasm, source: {path: echo.wasm}, activate: {when: '${inputs.n}', is: 1}}]
inputs: {n: {type: int}}
";
    let expected = Err(InvalidReferenceProperty { node: "a".into(), property: "k".into() }.into());
    let mut bypassed = plan(text, r#"{"n":2}"#);
    bypassed.ready_text();
    assert_eq!(bypassed.outputs(), expected);
    let mut ran = plan(text, r#"{"n":1}"#);
    ran.ready_text();
    ran.complete("a", "[]");
    assert_eq!(ran.outputs(), expected);
}

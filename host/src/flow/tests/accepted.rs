//! What prompt flow's files hold beside what counts here: read over without a word, or told of with the nearest key.

use super::super::inputs::Inputs;
use super::*;

#[test]
fn keys_of_earlier_versions_and_other_runtimes_are_read_over() {
    let manifest = "
$schema: https://azuremlschemas.azureedge.net/promptflow/latest/Flow.schema.json
id: template_standard_flow
type: evaluation
tags: {team: a}
environment: {image: x, conda_file: conda.yaml, setup_sh: setup.sh}
tools: [{name: hello.jinja2, type: prompt, inputs: {name: {type: [string]}}}]
language: python
inputs: {text: {type: string, default: d, enum: [a, b]}}
outputs: {o: {type: string, reference: '${a}'}}
nodes:
- name: a
  type: prompt
  tool: hello.jinja2
  comment: says hello
  source: {type: code, path: hello.jinja2}
  inputs: {name: '${flow.text}'}
  provider: AzureOpenAI
  module: promptflow.tools.aoai
  connection: ''
  api: ''
  enable_cache: false
  use_variants: false
  reduce: false
  aggregation: false
  activate:
";
    check(manifest, &[]);
    check_advice(manifest, &[]);
    let flow = flow(manifest);
    assert_eq!(flow.node(NodeIndex(0)).inputs["name"], Binding::Input("text".into()));
    assert_eq!(flow.outputs()["o"].source, Binding::Node { node: NodeIndex(0), path: Path::default() });
}

#[test]
fn an_enum_is_for_forms_and_keeps_nothing_out() {
    let flow = flow("inputs: {text: {type: string, enum: [a, b]}}\n");
    assert_eq!(Inputs::decode(&flow, br#"{"text":"c"}"#).unwrap().to_json().as_str(), r#"{"text":"c"}"#);
}

#[test]
fn either_name_marks_an_aggregation_node() {
    let aggregation = |keys: &str| {
        let flow = flow(&format!("nodes: [{{name: a, type: wasm, source: {{path: echo.wasm}}, {keys}}}]\n"));
        *flow.aggregation() == Aggregation::Nodes(vec![NodeIndex(0)])
    };
    assert!(aggregation("aggregation: true") && aggregation("reduce: true"));
    assert!(!aggregation("aggregation: false") && !aggregation("reduce: false"));
}

#[test]
fn what_a_file_is_its_content_decides_and_not_its_name() {
    let parse = |name: &str, text: &str| Flow::parse(name, text, "f", &folder()).unwrap().0.kind();
    assert_eq!(parse("flow.dag.yaml", "entry: echo.wasm\n"), FlowKind::Flex);
    assert_eq!(parse("flow.flex.yaml", "nodes: []\n"), FlowKind::Dag);
}

#[test]
fn unknown_keys_are_told_with_the_nearest_that_is_known() {
    check(
        "
node: []
inputs: {q: {type: string, Default: 3}}
outputs: {o: {type: string, reference: '${n}', evaluation: true}}
nodes:
- {name: n, type: wasm, source: {path: echo.wasm, tools: x}, input: {}, actvate: {}}
- {name: m, type: wasm, source: {path: echo.wasm}, activate: {when: '${n}', iss: 1, is: 1}}
",
        &[
            "warning 2:1: the flow: unknown key `node`; it has no effect; did you mean `nodes`?",
            "warning 3:28: input \"q\": unknown key `Default`; it has no effect; did you mean `default`?",
            "warning 4:48: output \"o\": unknown key `evaluation`; it has no effect; known keys: type, reference, description, \
             evaluation_only, is_chat_output",
            "warning 6:51: node \"n\": source: unknown key `tools`; it has no effect; did you mean `tool`?",
            "warning 6:62: node \"n\": unknown key `input`; it has no effect; did you mean `inputs`?",
            "warning 6:73: node \"n\": unknown key `actvate`; it has no effect; did you mean `activate`?",
            "warning 7:77: node \"m\": activate: unknown key `iss`; it has no effect; did you mean `is`?",
        ],
    );
}

#[test]
fn a_variant_that_has_a_node_of_its_own_loses_what_stands_outside() {
    let manifest = "
nodes:
- {name: n, use_variants: true, activate: {when: 1, is: 2}, aggregation: true, inputs: {name: outer}}
node_variants:
  n: {default_variant_id: v, variants: {v: {node: {type: prompt, source: {path: hello.jinja2}, inputs: {name: inner}}}}}
";
    let lost = |at: &str, key: &str| {
        format!(
            "warning {at}: node \"n\": `{key}` has no effect here, because the node uses its default variant; move it into \
             the `node` of the variant"
        )
    };
    check(manifest, &[&lost("3:33", "activate"), &lost("3:61", "aggregation")]);
    let flow = flow(manifest);
    let node = flow.node(NodeIndex(0));
    assert_eq!((node.activate.is_none(), &node.inputs["name"]), (true, &Binding::Literal(Json::string("inner"))));
}

#[test]
fn text_may_begin_with_a_byte_order_mark_and_end_its_lines_as_on_windows() {
    let flow = flow("\u{feff}inputs:\r\n  text:\r\n    type: string\r\n    default: |\r\n      one\r\n      two\r\n");
    assert_eq!(flow.inputs()["text"].default, Some(Json::string("one\ntwo\n")));
}

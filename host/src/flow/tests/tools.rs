//! Nodes that are package tools, literals of the wrong type, and templates against their inputs.

use super::*;
use crate::flow::describe::Description;

#[test]
fn package_tools_that_ask_a_model_are_llm_nodes() {
    let flow = flow(
        "
inputs: {q: {type: string}}
nodes:
- name: a
  type: custom_llm
  source: {type: package_with_prompt, tool: promptflow.tools.llm_vision.llm_vision, path: hello.jinja2}
  inputs: {connection: offline, detail: low, name: '${inputs.q}', max_tokens: ''}
- name: b
  type: custom_llm
  source: {type: package_with_prompt, tool: promptflow.tools.llm.llm, path: hello.jinja2}
  inputs: {connection: offline, api: completion, name: x}
",
    );
    let own = |index: usize| flow.node(NodeIndex(index)).assemble(|_| Ok::<_, ()>(Some(Json::null()))).unwrap();
    assert_eq!(
        own(0).as_str(),
        r#"{"prompt":"Hello {{name}}","connection":"offline","api":"chat","_tool":"vision","detail":null,"name":null,"_inputs_to_escape":["name"]}"#
    );
    assert!(own(1).as_str().contains(r#""api":"completion","_tool":"llm","name""#));
}

#[test]
fn other_package_tools_are_given_their_inputs() {
    let flow = flow(
        "
nodes:
- name: a
  type: python
  connection: offline
  source: {type: package, tool: promptflow.tools.embedding.embedding}
  inputs: {input: text}
- name: b
  type: python
  source: {type: package, tool: promptflow.tools.azure_content_safety.analyze_text}
  inputs: {connection: safe, text: x, hate_category: disable}
",
    );
    let plugin = |index: usize| match &flow.node(NodeIndex(index)).kind {
        NodeKind::Package(Package { plugin, connection, .. }) => (*plugin, connection.clone()),
        kind => panic!("{kind:?}"),
    };
    assert_eq!(plugin(0), (Plugin::Embedding, "offline".to_owned()));
    assert_eq!(plugin(1), (Plugin::ContentSafety, "safe".to_owned()));
    assert!(flow.node(NodeIndex(0)).inputs.contains_key("connection"));
}

const PYTHON: &str = "
nodes:
- {name: a, type: python, source: {type: code, path: ask.py}, inputs: {connection: my_ai, k: '3', style: '[1]', text: x, ratio: 2}}
- {name: b, type: python, source: {type: code, path: hello.jinja2}}
";

const ASK: &str = r#"{"entries": {"ask.py": {"name": "ask", "streams": false, "inputs": {"type": "object", "properties": {
    "connection": {"type": "string", "x-promptflow-type": "AzureOpenAIConnection", "x-weir-connection": ["AzureOpenAIConnection"]},
    "k": {"type": "integer", "x-promptflow-type": "int"}, "ratio": {"type": "number", "x-promptflow-type": "double"}, "style": {"x-promptflow-type": "object"},
    "text": {"type": ["object", "null"], "x-promptflow-type": "object"}}, "required": ["connection"]}}}}"#;

#[test]
fn a_python_file_is_a_node_whose_connections_are_those_that_it_is_given() {
    let first = PYTHON.lines().take(3).collect::<Vec<_>>().join("\n");
    let mut draft = Flow::draft("flow.dag.yaml", &first, "my-flow", &folder());
    draft.described(NodeIndex(0), &Description::parse_entry(ASK, "ask.py"));
    let (flow, _) = draft.finish().expect("a flow");
    let node = flow.node(NodeIndex(0));
    let python = Python { entry: "ask.py".to_owned(), connections: vec!["my_ai".to_owned()] };
    assert_eq!(node.kind, NodeKind::Python(python));
    assert_eq!(node.kind.connections().collect::<Vec<_>>(), ["my_ai"]);
    // Of a parameter that takes anything, a text that is JSON is read, and any other stays.
    let literal = |name: &str| match &node.inputs[name] {
        Binding::Literal(value) => value.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(["k", "style", "text", "ratio"].map(literal), ["3", "[1]", "\"x\"", "2.0"]);
    assert!(!node.may_stream());
    check(PYTHON, &["4:54: node \"b\": source \"hello.jinja2\" is no Python file; its name ends with .py"]);
}

#[test]
fn what_a_tool_does_not_take_is_refused() {
    check(
        "
inputs: {c: {type: string}}
nodes:
- {name: a, type: python, source: {type: package, tool: promptflow.tools.embeding.embedding}}
- {name: b, type: python, source: {type: package, tool: promptflow.tools.open_model_llm.OpenModelLLM.call}}
- {name: c, type: python, source: {type: package}}
- name: d
  type: python
  source: {type: package, tool: promptflow.tools.azure_content_safety.analyze_text}
  inputs: {connection: '${inputs.c}', hate_category: low, txt: x}
- {name: e, type: python, source: {type: egg, path: x}}
- {name: f, type: prompt, source: {type: egg, path: x}}
",
        &[
            "4:57: node \"a\": package tool \"promptflow.tools.embeding.embedding\" is not found; did you mean \
             \"promptflow.tools.embedding.embedding\"?",
            "5:57: node \"b\": package tool \"promptflow.tools.open_model_llm.OpenModelLLM.call\" is not served; it looks its \
             endpoint up in an Azure ML workspace; use `type: llm` with a `serverless` connection instead",
            "6:35: node \"c\": source names no tool; add `tool: ID`, such as promptflow.tools.embedding.embedding",
            "7:9: python node \"d\": a connection has to be named in the flow file; add `connection: NAME`; the connection \
             named offline needs no key and no network",
            "7:9: node \"d\": tool \"promptflow.tools.azure_content_safety.analyze_text\" needs the input \"text\"",
            "10:54: input \"hate_category\" for node \"d\" of value \"low\" is not type one of disable, low_sensitivity, \
             medium_sensitivity, high_sensitivity",
            "10:59: node \"d\": tool \"promptflow.tools.azure_content_safety.analyze_text\" takes no input \"txt\"; did you mean \
             \"text\"?",
            "11:42: node \"e\": unknown source type \"egg\"; types are: code, package, package_with_prompt, oci",
            "12:42: node \"f\": unknown source type \"egg\"; types are: code, package, package_with_prompt, oci",
        ],
    );
}

#[test]
fn literals_have_to_be_of_their_parameters_type() {
    let manifest = |inputs: &str| {
        format!(
            "nodes:\n- {{name: a, type: llm, connection: offline, source: {{path: hello.jinja2}}, inputs: {inputs}}}\n"
        )
    };
    check(
        &manifest("{temperature: '0.7', max_tokens: inf, stop: '', n: '2', logit_bias: '{}', stop: [a]}"),
        &["2:157: key `stop` appears more than once"],
    );
    check(
        &manifest("{temperature: hot, max_tokens: many, tools: none}"),
        &[
            "2:97: input \"temperature\" for node \"a\" of value \"hot\" is not type double",
            "2:114: input \"max_tokens\" for node \"a\" of value \"many\" is not type int",
            "2:127: input \"tools\" for node \"a\" of value \"none\" is not type list",
        ],
    );
}

#[test]
fn variables_and_inputs_that_miss_each_other_are_told_of() {
    check_advice(
        "
outputs: {o: {type: string, reference: '${b.output}'}}
nodes:
- {name: a, type: prompt, source: {path: hello.jinja2}, inputs: {nam: x}}
- {name: b, type: prompt, source: {path: hello.jinja2}, inputs: {name: x}}
",
        &[
            "warning 4:10: node \"a\" runs, but nothing uses its output",
            "warning 4:66: node \"a\": input \"nam\" is neither a parameter nor a variable of \"hello.jinja2\"; it has no \
             effect; did you mean \"name\"?",
            "warning hello.jinja2:1:9: node \"a\": variable \"name\" has no input, so it prints nothing; did you mean \"nam\"?",
        ],
    );
}

#[test]
fn a_template_that_is_none_is_pointed_at() {
    let folder = Folder::of(&[("bad.jinja2", "hello\n{% if %}\n")]);
    let manifest = "nodes: [{name: a, type: prompt, source: {path: bad.jinja2}}]\n";
    let problems = Flow::parse("flow.dag.yaml", manifest, "f", &folder).unwrap_err();
    assert!(problems.plain().contains("bad.jinja2:2:1: node \"a\": not a Jinja template"), "{}", problems.plain());
}

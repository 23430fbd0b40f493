//! Prompty files, as flows and as sources of llm nodes.

use super::super::inputs::Inputs;
use super::*;

pub(super) const BASIC: &str = "\
---
name: Basic Chat
description: a chat
model:
  api: chat
  configuration:
    type: azure_openai
    azure_deployment: gpt-4o
    connection: offline
  parameters:
    max_tokens: 256
    stop: ${env:SET}
    user: ${env:UNSET}
    response_format: {type: json_object}
  response: all
inputs:
  question: {type: string, default: hi}
  history: {type: array}
outputs:
  answer: {type: string}
sample: ${file:./sample.json}
---
system:
You are kind. {{history}}
user:
{{question}}
";

/// What the first node of a flow is given, if every flow input is its name.
fn given(flow: &Flow, node: usize) -> String {
    let value = |binding: &Binding| {
        Ok::<_, ()>(match binding {
            Binding::Literal(value) => Some(value.clone()),
            Binding::Input(name) => Some(Json::string(name)),
            Binding::Node { .. } => None,
        })
    };
    flow.node(NodeIndex(node)).assemble(value).unwrap().to_string()
}

#[test]
fn a_prompty_is_a_flow_of_one_node() {
    let flow = flow(BASIC);
    assert_eq!((flow.kind(), flow.span_name(), flow.description()), (FlowKind::Prompty, "Basic Chat", Some("a chat")));
    assert_eq!(
        given(&flow, 0),
        r#"{"prompt":"system:\nYou are kind. {{history}}\nuser:\n{{question}}\n","connection":"offline","api":"chat","#
            .to_owned()
            + r#""_answer":{"response":"all","outputs":["answer"],"parameters":{"max_tokens":256,"stop":"from the environment","#
            + r#""user":"${env:UNSET}","response_format":{"type":"json_object"}}},"#
            + r#""question":"question","history":"history","deployment_name":"gpt-4o","#
            + r#""_inputs_to_escape":["question","history"]}"#
    );
}

#[test]
fn a_prompty_may_stream_where_it_says_so() {
    let candidates = |from: &str, to: &str| {
        let flow = flow(&BASIC.replace("response: all", "response: first").replace(from, to));
        flow.stream_candidates().into_iter().map(|(_, name)| name.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(candidates("", ""), [""; 0]);
    assert_eq!(candidates("max_tokens: 256", "stream: true"), ["output"]);
    // The answer as the service gives it is no text.
    assert_eq!(flow(&BASIC.replace("max_tokens: 256", "stream: true")).stream_candidates(), []);
}

#[test]
fn a_request_that_gives_nothing_is_the_sample() {
    let text = "---\nmodel: {configuration: {connection: offline}}\nsample: {q: hi}\n---\nuser:\n{{q}}\n";
    let flow = flow(text);
    assert_eq!(Inputs::decode(&flow, b"{}").unwrap().to_json().as_str(), r#"{"q":"hi"}"#);
    assert_eq!(Inputs::decode(&flow, br#"{"q":5}"#).unwrap().to_json().as_str(), r#"{"q":"5"}"#);
}

#[test]
fn a_sample_may_be_a_file() {
    let inputs = |sample: &str| {
        let text = format!(
            "---\nmodel: {{configuration: {{connection: offline}}}}\nsample: {sample}\n---\nuser:\n{{{{question}}}}\n"
        );
        let flow = flow(&text);
        Inputs::decode(&flow, b"{}").unwrap().to_json().to_string()
    };
    let whole = inputs("'${file:sample.json}'");
    assert_eq!(whole, r#"{"question":"from a file"}"#);
    for sample in ["file:sample.json", "file:./sample.json", "sample.json"] {
        assert_eq!(inputs(sample), whole, "{sample}");
    }
}

#[test]
fn without_inputs_and_sample_the_variables_of_the_template_are_the_inputs() {
    let flow = flow("---\nmodel: {configuration: {connection: offline}}\n---\nuser:\n{{b}} {{a}}\n");
    assert_eq!(flow.inputs().keys().collect::<Vec<_>>(), ["a", "b"]);
    let error = Inputs::decode(&flow, b"{}").unwrap_err();
    assert_eq!(error.code(), "MissingRequiredFlowInput");
}

#[test]
fn a_configuration_of_its_own_becomes_a_connection_of_its_own() {
    let text = "------\nmodel: {configuration: {type: openai, model: gpt-4o, api_key: '${env:SET}'}}\n---\nuser:\nhi\n";
    let flow = flow(text);
    let Some(name) = flow.node(NodeIndex(0)).kind.connection() else { panic!("no connection") };
    let configuration = &flow.configurations()[name];
    // A key is looked up where connections are, not here.
    assert_eq!(configuration["api_key"], "${env:SET}");
    assert_eq!(configuration["type"], "openai");
    assert!(given(&flow, 0).contains(r#""model":"gpt-4o""#));
}

#[test]
fn what_is_no_key_is_put_in_from_variables_and_files() {
    let text = "---
name: ${env:SET}
model: {configuration: {type: azure_openai, azure_deployment: '${env:SET}', connection: '${env:SET}'}}
---
user:
hi
";
    let flow = flow(text);
    let node = flow.node(NodeIndex(0));
    assert_eq!((flow.span_name(), node.kind.connection()), ("from the environment", Some("from the environment")));
    assert!(given(&flow, 0).contains(r#""deployment_name":"from the environment""#));
}

#[test]
fn an_llm_node_may_be_made_of_a_prompty() {
    let flow = flow(
        "
inputs: {q: {type: string}}
nodes:
- name: a
  type: llm
  source: {path: basic.prompty}
  inputs: {question: '${inputs.q}', max_tokens: 5, history: []}
",
    );
    let given = given(&flow, 0);
    assert!(given.contains(r#""connection":"offline""#), "{given}");
    let parameters = r#""parameters":{"max_tokens":256,"stop":"from the environment","user":"${env:UNSET}","#
        .to_owned()
        + r#""response_format":{"type":"json_object"}},"overridden":true}"#;
    assert!(given.contains(&parameters) && given.contains(r#""max_tokens":5,"#), "{given}");
    assert!(given.contains(r#""deployment_name":"gpt-4o""#), "{given}");
}

#[test]
fn what_is_wrong_is_pointed_at_in_the_prompty() {
    check(
        "---
model:
  api: talk
  response: most
  parameters: {temperature: hot}
  flavour: sweet
inputs: {q: {type: strange}}
sample: 5
---
user:
{{q}} {{r}}
",
        &[
            "basic.prompty:3:8: node \"basic\": unknown api \"talk\"; apis are: chat, completion",
            "basic.prompty:4:13: model.response: unknown response \"most\"; responses are: first, all",
            "basic.prompty:5:29: parameter \"temperature\" of prompty \"basic\" of value \"hot\" is not type double",
            "basic.prompty:8:9: sample must be a mapping of inputs by name, not a number",
            "warning basic.prompty:6:3: model: unknown key `flavour`; it has no effect; known keys: api, configuration, \
             parameters, response",
            "warning basic.prompty:7:20: input \"q\": unknown type \"strange\"; any value is taken",
        ],
    );
    check_advice(
        "---\nmodel: {configuration: {connection: offline}}\ninputs: {q: {type: string}}\n---\nuser:\n{{q}} {{r}}\n",
        &[
            "warning basic.prompty:6:9: node \"basic\": variable \"r\" has no input, so it prints nothing; did you mean \
             \"q\"?",
        ],
    );
    check(
        "---\nmodel: {configuration: {type: openai, connection: offline, api_key: k}}\nsample: no.json\n---\nuser:\nhi\n",
        &[
            "basic.prompty:2:51: model.configuration names a connection, and says what connections say; leave out \
             `connection`, or all beside it but `type` and the model",
            "basic.prompty:3:9: `${file:no.json}`: there is no such file",
        ],
    );
    check(
        "--- \nno end",
        &[
            "basic.prompty:1:1: illegal formatting of prompty: the file has to begin with front matter in YAML, between two \
           lines of `---`, and then the template",
        ],
    );
}

#[test]
fn a_call_of_a_prompty_may_say_otherwise_too() {
    let flow = flow(
        "
nodes:
- {name: a, type: llm, source: {path: basic.prompty}, inputs: {question: x, history: []}}
",
    );
    let call = flow.node(NodeIndex(0)).assemble_call(&Json::parse(r#"{"max_tokens":5}"#).unwrap()).unwrap().to_string();
    assert!(call.contains(r#""overridden":true"#) && call.contains(r#""max_tokens":5"#), "{call}");
}

//! Flow files with an entry.

use super::super::describe::Description;
use super::super::inputs::Inputs;
use super::*;

const FLEX: &str = "\
$schema: https://azuremlschemas.azureedge.net/promptflow/latest/Flow.schema.json
entry: echo.wasm
inputs:
  question: {type: string}
  n: {type: int, default: 9}
outputs: {answer: {type: string}}
init:
  con: {type: CustomConnection, default: offline}
  depth: {type: int}
sample: {inputs: {question: hi}, init: {depth: 3}}
grants: {nodes: [hello]}
limits: {memory: 64MiB}
nodes:
- {name: hello, type: prompt, source: {path: hello.jinja2}, inputs: {name: you}}
";

/// A description of what FLEX's entry takes.
const DESCRIBED: &str = r#"{"inputs": {"type": "object", "properties": {"question": {"type": "string"},
    "n": {"type": "integer"}, "more": {"type": "array"}}, "required": ["question"]}}"#;

fn draft(manifest: &str) -> Draft {
    Flow::draft("flow.flex.yaml", manifest, "my-flow", &folder())
}

#[test]
fn a_request_runs_the_entry_alone() {
    let flow = flow(FLEX);
    assert_eq!((flow.kind(), flow.order()), (FlowKind::Flex, &[NodeIndex(0)][..]));
    let (index, entry) = flow.nodes().next().unwrap();
    assert_eq!(entry.id.as_str(), "echo");
    assert!(matches!(&entry.kind, NodeKind::Component { source } if source.as_str() == "echo.wasm"));
    assert_eq!(entry.limits["memory"], "64MiB");
    assert_eq!(entry.grants["nodes"].as_str(), r#"["hello"]"#);
    assert_eq!(flow.stream_candidates(), [(index, "output")]);
    let value = Json::string("bare");
    assert_eq!(flow.reply(&[("output".to_owned(), value.clone())]), value);
}

#[test]
fn what_the_entry_takes_decides_what_must_be_given_and_the_file_what_becomes_of_it() {
    let mut draft = draft(FLEX);
    draft.described(NodeIndex(0), &Description::parse(DESCRIBED));
    let (flow, _) = draft.finish().unwrap();
    let decode = |body: &str| match Inputs::decode(&flow, body.as_bytes()) {
        Ok(inputs) => inputs.to_json().to_string(),
        Err(error) => error.code().to_owned(),
    };
    assert_eq!(decode(r#"{"question":"q","n":"5","other":1}"#), r#"{"question":"q","n":5}"#);
    assert_eq!(decode(r#"{"question":"q","more":[1]}"#), r#"{"question":"q","n":9,"more":[1]}"#);
    // What only the entry declares is taken as it is.
    assert_eq!(decode(r#"{"question":3,"more":"[1]"}"#), r#"{"question":"3","n":9,"more":"[1]"}"#);
    assert_eq!(decode(r#"{"n":1}"#), "MissingRequiredFlowInput");
    assert_eq!(decode(r#"{"question":"q","n":"zz"}"#), "InputTypeError");
    let entry = flow.node(NodeIndex(0));
    let inputs = Inputs::decode(&flow, br#"{"question":"q"}"#).unwrap();
    let value = |binding: &Binding| match binding {
        Binding::Input(name) => Ok::<_, ()>(inputs.get(name).cloned()),
        _ => Err(()),
    };
    assert_eq!(entry.assemble(value).unwrap().as_str(), r#"{"question":"q","n":9}"#);
}

#[test]
fn an_input_with_a_default_in_the_file_need_not_be_given_even_if_the_entry_needs_it() {
    let mut draft = draft("entry: echo.wasm\ninputs: {question: {type: string, default: why?}}\n");
    draft.described(NodeIndex(0), &Description::parse(DESCRIBED));
    let (flow, _) = draft.finish().unwrap();
    assert_eq!(Inputs::decode(&flow, b"{}").unwrap().to_json().as_str(), r#"{"question":"why?"}"#);
}

/// A description of what an entry takes that has a default for all of it.
const WITH_DEFAULTS: &str =
    r#"{"inputs": {"type": "object", "properties": {"question": {"type": "string"}, "n": {"type": "integer"}}}}"#;

/// `expected` is the inputs that a request becomes, or code and message of the refusal.
#[track_caller]
fn check_request(manifest: &str, described: &str, body: &str, expected: &str) {
    let mut draft = draft(manifest);
    draft.described(NodeIndex(0), &Description::parse(described));
    let (flow, _) = draft.finish().unwrap();
    let found = match Inputs::decode(&flow, body.as_bytes()) {
        Ok(inputs) => inputs.to_json().to_string(),
        Err(error) => format!("{}: {error}", error.code()),
    };
    assert_eq!(found, expected, "{body}");
}

#[test]
fn an_input_without_a_default_in_the_file_must_be_given_even_if_the_entry_has_one() {
    let file = "entry: echo.wasm\ninputs: {question: {type: string}, n: {type: int, default: 2}}\n";
    let refused = "InputNotFound: The input for flow is incorrect. The value for flow input 'question' is not provided in \
                   input data. Please review your input data or remove this input in your flow if it's no longer needed.";
    check_request(file, WITH_DEFAULTS, "{}", refused);
    check_request(file, WITH_DEFAULTS, r#"{"question": "q"}"#, r#"{"question":"q","n":2}"#);
}

#[test]
fn a_default_of_empty_text_leaves_an_input_to_the_entry() {
    let file = "entry: echo.wasm\ninputs: {question: {type: string}, n: {type: int, default: ''}}\ninit: {n: {type: int, default: ''}}\n";
    check_request(file, WITH_DEFAULTS, r#"{"question": "q"}"#, r#"{"question":"q"}"#);
    check_request(file, WITH_DEFAULTS, r#"{"question": "q", "n": "x"}"#, r#"{"question":"q","n":"x"}"#);
    assert_eq!(draft(file).initialise(&IndexMap::new(), None).unwrap().values.as_str(), "{}");
}

#[test]
fn a_request_that_gives_nothing_is_the_sample_if_the_entry_needs_nothing() {
    let sample = "entry: echo.wasm\nsample: {inputs: {question: hi, other: 1}}\n";
    check_request(sample, WITH_DEFAULTS, "{}", r#"{"question":"hi"}"#);
    check_request(sample, WITH_DEFAULTS, r#"{"n": 1}"#, r#"{"n":1}"#);
    let missing = "MissingRequiredFlowInput: Required input fields ['question'] are missing in request data";
    check_request(sample, DESCRIBED, "{}", missing);
    // What the file alone asks for, the sample may give.
    let file = format!("{sample}inputs: {{question: {{type: string}}, n: {{type: int, default: 2}}}}\n");
    check_request(&file, WITH_DEFAULTS, "{}", r#"{"question":"hi","n":2}"#);
}

#[test]
fn a_line_of_a_batch_that_gives_nothing_is_no_sample() {
    let mut draft = draft("entry: echo.wasm\nsample: {inputs: {question: hi}}\n");
    draft.described(NodeIndex(0), &Description::parse(WITH_DEFAULTS));
    let (flow, _) = draft.finish().unwrap();
    assert_eq!(Inputs::new(&flow, &IndexMap::new()).unwrap().to_json().as_str(), "{}");
}

#[test]
fn without_inputs_in_the_file_the_entry_declares_them_and_nothing_is_coerced() {
    let mut draft = draft("entry: echo.wasm\n");
    draft.described(NodeIndex(0), &Description::parse(DESCRIBED));
    let (flow, _) = draft.finish().unwrap();
    let decoded = Inputs::decode(&flow, br#"{"n":"5","question":3,"other":1}"#).unwrap().to_json();
    assert_eq!(decoded.as_str(), r#"{"question":3,"n":"5"}"#);
}

#[test]
fn init_values_that_the_entry_does_not_take_are_refused() {
    let mut draft = draft("entry: echo.wasm\ninit: {tone: {type: string, default: x}, ton: {default: y}}\n");
    let described = r#"{"init": {"properties": {"tone": {"type": "string"}}}}"#;
    draft.described(NodeIndex(0), &Description::parse(described));
    assert_eq!(
        draft.finish().unwrap_err().plain(),
        "flow.flex.yaml has 1 problem\n  flow.flex.yaml:1:8: the flow declares init values that its entry does not take: ton; \
         init values of the entry are: tone"
    );
}

#[test]
fn inputs_that_the_entry_does_not_take_are_refused() {
    let mut draft = draft("entry: echo.wasm\ninputs: {q: {type: string}}\n");
    draft.described(NodeIndex(0), &Description::parse(DESCRIBED));
    assert_eq!(
        draft.finish().unwrap_err().plain(),
        "flow.flex.yaml has 1 problem\n  flow.flex.yaml:1:8: the flow declares inputs that its entry does not take: q; inputs \
         of the entry are: question, n, more"
    );
}

#[test]
fn an_entry_is_initialised() {
    let mut draft = draft(FLEX);
    let resolved = draft.initialise(&IndexMap::new(), Some(r#"{"depth":"5"}"#)).unwrap();
    assert_eq!(resolved.values.as_str(), r#"{"depth":5,"con":"offline"}"#);
    assert_eq!(resolved.connections, ["offline"]);
    let given = IndexMap::from([("dpth".to_owned(), "1".to_owned())]);
    assert_eq!(draft.initialise(&given, None), None);
    assert_eq!(
        draft.finish().unwrap_err().plain(),
        "flow.flex.yaml has 1 problem\n  --init: the flow has no init value \"dpth\"; init values are: con, depth"
    );
}

#[test]
fn nodes_of_a_flex_flow_are_given_their_inputs_by_their_caller() {
    check(
        "
entry: echo.wasm
inputs: {q: {type: string}}
init: {x: {type: strange}}
sample: {init: '${file:./gone.json}'}
nodes:
- {name: a, type: prompt, source: {path: hello.jinja2}, inputs: {name: '${inputs.q}'}, activate: {when: 1, is: 1}}
- {name: echo, type: prompt, source: {path: hello.jinja2}}
- {name: c, type: wasm, source: {path: echo.wasm}, aggregation: true}
",
        &[
            "4:18: init \"x\": unknown type \"strange\"; types are: int, double, bool, string, list, object, image, secret, \
             prompt_template, file_path, assistant_definition, a connection (such as CustomConnection), \
             AzureOpenAIModelConfiguration, OpenAIModelConfiguration",
            "5:16: sample.init: \"./gone.json\": there is no such file",
            "7:72: node \"a\": input \"name\" is a reference, and a flex flow has none; give the input where the entry calls \
             the node; write only what is always the same here",
            "8:10: node with name \"echo\" appears more than once; make sure your node names are unique",
            "9:10: node \"c\": a flex flow has no aggregation nodes",
            "warning 7:105: node \"a\": `activate` has no effect, because the entry decides what runs",
        ],
    );
}

#[test]
fn the_aggregation_of_an_entry_runs_over_what_it_gave_each_line() {
    let mut draft = draft("entry: ask:Matcher\ngrants: {nodes: [hello]}\nlimits: {memory: 64MiB}\n");
    draft.described(NodeIndex(0), &Description::parse("{}"));
    let aggregation = Description::parse(r#"{"inputs": {"properties": {"line_results": {"type": "array"}}}}"#);
    let index = draft.aggregated(&aggregation).unwrap();
    let (flow, _) = draft.finish().unwrap();
    assert_eq!(flow.aggregation(), &Aggregation::Nodes(vec![index]));
    assert_eq!((flow.order(), flow.is_initialised(index)), (&[NodeIndex(0)][..], true));
    let (entry, node) = (flow.node(NodeIndex(0)), flow.node(index));
    assert_eq!(node.id.as_str(), "__aggregate__");
    assert!(matches!(&node.kind, NodeKind::Python(python) if python.entry == "ask:Matcher#aggregate"));
    assert_eq!((&node.grants, &node.limits), (&entry.grants, &entry.limits));
    let Binding::Node { node, path } = &node.inputs["line_results"] else { panic!("it is bound to the entry") };
    assert!(*node == NodeIndex(0) && path.is_empty());
}

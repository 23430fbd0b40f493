//! Flow files by their text: what a good one becomes. What is said about a bad one: see tests/refused.rs.

mod accepted;
mod chat;
mod flex;
mod prompty;
mod refused;
mod tools;
mod yaml;

use std::collections::HashMap;

use super::describe::Description;
use super::reference::Path;
use super::tools::Plugin;
use super::*;

/// A flow folder that holds these files.
pub(crate) struct Folder(HashMap<String, String>);

impl Folder {
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }
}

impl Surroundings for Folder {
    fn text(&self, path: &str) -> Result<String, FileError> {
        self.0.get(path).cloned().ok_or(FileError::Missing)
    }

    fn exists(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name == "SET").then(|| "from the environment".to_owned())
    }
}

fn folder() -> Folder {
    Folder::of(&[
        ("chat.jinja2", "system:\nBe kind.\nuser:\n{{question}}\n"),
        ("hello.jinja2", "Hello {{name}}"),
        ("hot.jinja2", "It is {{ temperature }} degrees"),
        ("echo.wasm", ""),
        ("ask.py", ""),
        ("basic.prompty", prompty::BASIC),
        ("sample.json", r#"{"question": "from a file"}"#),
    ])
}

fn parse(manifest: &str) -> Result<(Flow, Vec<Warning>), Problems> {
    let name = file_name(manifest);
    let mut folder = folder();
    folder.0.insert(name.to_owned(), manifest.to_owned());
    Flow::parse(name, manifest, "my-flow", &folder)
}

/// A flow that has to be good.
#[track_caller]
pub(crate) fn flow(manifest: &str) -> Flow {
    parse(manifest).unwrap_or_else(|problems| panic!("{}", problems.plain())).0
}

/// Warnings about what a flow would do better without. Most flows of these tests are not about that.
const ADVICE: [&str; 3] = ["UnusedNode", "UnusedInput", "VariableWithoutInput"];

/// `expected` are the lines of the problems; of those that begin with `warning` the warnings.
#[track_caller]
fn check(manifest: &str, expected: &[&str]) {
    assert_eq!(found(manifest, |warning| !ADVICE.contains(&warning.problem().code)), expected);
}

/// Like [`check`], of the warnings that are advice alone.
#[track_caller]
fn check_advice(manifest: &str, expected: &[&str]) {
    assert_eq!(found(manifest, |warning| ADVICE.contains(&warning.problem().code)), expected);
}

/// The name that a flow file with this text would have.
fn file_name(manifest: &str) -> &'static str {
    match manifest {
        _ if manifest.trim_start().starts_with("---") => "basic.prompty",
        _ if manifest.contains("entry:") => "flow.flex.yaml",
        _ => "flow.dag.yaml",
    }
}

fn found(manifest: &str, counts: impl Fn(&Warning) -> bool) -> Vec<String> {
    let short = |line: &str| line.trim().replace("flow.dag.yaml:", "").replace("flow.flex.yaml:", "");
    let (problems, warnings) = match parse(manifest) {
        Ok((_, warnings)) => (Vec::new(), warnings),
        Err(problems) => (problems.plain().lines().skip(1).map(short).collect(), problems.warnings().to_vec()),
    };
    let warnings = warnings.iter().filter(|warning| counts(warning));
    problems.into_iter().chain(warnings.map(|warning| format!("warning {}", short(&warning.to_string())))).collect()
}

const CHAT: &str = "\
$schema: https://azuremlschemas.azureedge.net/promptflow/latest/Flow.schema.json
environment: {python_requirements_txt: requirements.txt}
environment_variables: {REGION: '${con.region}', LIMITS: {a: [1]}, N: 5, UNSET: null}
additional_includes: [../shared]
inputs:
  question: {type: string, is_chat_input: true, description: what to answer}
  chat_history: {type: list, default: [], is_chat_history: true}
outputs:
  answer: {type: string, reference: '${chat.output}', is_chat_output: true}
nodes:
- name: chat
  type: llm
  source: {type: code, path: chat.jinja2}
  provider: AzureOpenAI
  connection: offline
  api: chat
  inputs:
    deployment_name: fake-gpt
    max_tokens: \"256\"
    temperature: 0.7
    stop: ''
    seed: null
    question: ${inputs.question}
    chat_history: ${inputs.chat_history}
  limits: {memory: 64MiB, timeout: 10s}
  grants: {http: ['https://*.example.com']}
";

#[test]
fn a_chat_flow_is_read_whole() {
    let flow = flow(CHAT);
    assert_eq!((flow.id().as_str(), flow.span_name()), ("my-flow", "my_flow"));
    let question = &flow.inputs()["question"];
    assert_eq!((question.kind, question.is_chat_input, question.default.as_ref()), (Some(Type::String), true, None));
    assert_eq!(question.description.as_deref(), Some("what to answer"));
    assert_eq!(flow.inputs()["chat_history"].default, Some(Json::parse("[]").unwrap()));

    let (index, chat) = flow.nodes().next().unwrap();
    assert!(matches!(&chat.kind, NodeKind::Llm(Llm { connection, api: Api::Chat, .. }) if connection == "offline"));
    let names: Vec<_> = chat.inputs.keys().map(String::as_str).collect();
    assert_eq!(names, ["deployment_name", "max_tokens", "temperature", "question", "chat_history"]);
    let limits: Vec<_> = chat.limits.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
    assert_eq!(limits, [("memory", "64MiB"), ("timeout", "10s")]);
    assert_eq!(chat.grants["http"].as_str(), r#"["https://*.example.com"]"#);
    assert_eq!(flow.outputs()["answer"].source, Binding::Node { node: index, path: Path::default() });
    assert_eq!(flow.stream_candidates(), [(index, "answer")]);

    let variables: Vec<_> = flow.environment_variables().iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(variables, [("REGION", "${con.region}"), ("LIMITS", r#"{"a": [1]}"#), ("N", "5")]);
    assert_eq!(flow.additional_includes(), ["../shared"]);
    check(
        CHAT,
        &[
            "warning 4:22: additional include \"../shared\" is not part of the flow folder yet; run `weir build` on the flow \
             folder, which copies it into `.weir`",
        ],
    );
}

#[test]
fn an_llm_node_is_given_its_template_connection_and_what_to_escape() {
    let flow = flow(CHAT);
    let given = flow.node(NodeIndex(0)).assemble(|binding| {
        Ok::<_, ()>(Some(match binding {
            Binding::Literal(value) => value.clone(),
            Binding::Input(name) => Json::string(name),
            Binding::Node { .. } => return Err(()),
        }))
    });
    let expected = r#"{"prompt":"system:\nBe kind.\nuser:\n{{question}}\n","connection":"offline","api":"chat","#
        .to_owned()
        + r#""deployment_name":"fake-gpt","max_tokens":"256","temperature":0.7,"question":"question","#
        + r#""chat_history":"chat_history","_inputs_to_escape":["question","chat_history"]}"#;
    assert_eq!(given.unwrap().as_str(), expected);
}

const KINDS: &str = "\
inputs: {name: {type: string}}
nodes:
- {name: a, type: prompt, source: {path: hello.jinja2}, inputs: {name: '${inputs.name}', mark: '!'}}
- {name: b, type: prompt, source: {path: hello.jinja2}, inputs: {text: '${a}', other: '${c.output.x}', mark: 1}}
- {name: c, type: wasm, source: {path: echo.wasm}, inputs: {name: '${inputs.name}', gone: '${a.output}'}}
- {name: d, type: llm, source: {path: hello.jinja2}, connection: offline, api: chat, inputs: {name: '${b}', more: '${c}'}}
";

#[test]
fn roles_that_a_prompt_wrote_are_meant_and_those_of_its_flow_inputs_are_not() {
    let flow = flow(KINDS);
    // What each prompt has rendered, and of `c`, which was bypassed, nothing.
    let object = |index| {
        let value = |binding: &Binding| {
            Ok::<_, ()>(match binding {
                Binding::Literal(value) => Some(value.clone()),
                Binding::Input(name) => Some(Json::string(name)),
                Binding::Node { node, .. } => (node.0 < 2).then(|| Json::string("Hello")),
            })
        };
        flow.node(NodeIndex(index)).assemble(value).unwrap().to_string()
    };
    assert_eq!(
        object(1),
        r#"{"template":"Hello {{name}}","text":"Hello","other":null,"mark":1,"_inputs_to_escape":[]}"#
    );
    assert_eq!(object(2), r#"{"name":"name","gone":"Hello"}"#);
    // By way of b, a's flow input comes to d.
    assert_eq!(
        object(3),
        r#"{"prompt":"Hello {{name}}","connection":"offline","api":"chat","name":"Hello","more":null,"#.to_owned()
            + r#""_inputs_to_escape":[],"_quoted_prompts":{"inputs":{"name":"b"},"prompts":{"#
            + r#""b":{"template":"Hello {{name}}","inputs":{"text":"Hello","other":null,"mark":1},"#
            + r#""_inputs_to_escape":[],"quoted":{"text":"a"}},"#
            + r#""a":{"template":"Hello {{name}}","inputs":{"name":"name","mark":"!"},"#
            + r#""_inputs_to_escape":["name"],"quoted":{}}}}}"#
    );
}

#[test]
fn a_prompt_that_was_bypassed_or_quotes_nobody_is_not_rendered_again() {
    let given = |manifest: &str| flow(manifest).node(NodeIndex(1)).assemble(|_| Ok::<_, ()>(None)).unwrap().to_string();
    let quotes = |inputs: &str| {
        format!(
            "inputs: {{q: {{type: string}}}}
nodes:
- {{name: a, type: prompt, source: {{path: hello.jinja2}}, inputs: {inputs}}}
- {{name: b, type: llm, source: {{path: hello.jinja2}}, connection: offline, api: chat, inputs: {{name: '${{a.output}}'}}}}
"
        )
    };
    for inputs in ["{name: '${inputs.q}'}", "{name: x}"] {
        assert!(!given(&quotes(inputs)).contains("_quoted_prompts"), "{inputs}");
    }
}

#[test]
fn templates_of_a_flow_in_openais_form_know_it() {
    let flow = flow(&format!("message_format: openai-vision\n{KINDS}"));
    let knows = |index| {
        let given = flow.node(NodeIndex(index)).assemble(|_| Ok::<_, ()>(None)).unwrap();
        given.as_str().contains(r#""_message_format":"openai-vision""#)
    };
    assert_eq!([knows(0), knows(2), knows(3)], [true, false, true]);
}

#[test]
fn a_node_that_is_called_keeps_its_literals_and_escapes_what_it_is_given() {
    let flow = flow(KINDS);
    let call = |given: &str| flow.node(NodeIndex(0)).assemble_call(&Json::parse(given).unwrap());
    assert_eq!(
        call(r#"{"name":"Ann","more":1}"#).unwrap().as_str(),
        r#"{"template":"Hello {{name}}","mark":"!","name":"Ann","more":1,"_inputs_to_escape":["name","more"]}"#
    );
    assert_eq!(call(r#"{"mark":"?"}"#).unwrap().as_str().matches("mark").count(), 2);
    assert_eq!(call("[]"), Err(given::CallRefused::NotAnObject { node: "a".into() }));
    assert_eq!(
        call(r#"{"template":"x"}"#),
        Err(given::CallRefused::Reserved { node: "a".into(), input: "template".into() })
    );
}

#[test]
fn a_name_of_its_own_is_the_flows_span_name() {
    assert_eq!(flow("name: My Flow\n").span_name(), "My Flow");
    for (folder, expected) in [("chat-basic", "chat_basic"), ("2 Big__Flows!", "n2_big_flows"), ("Ünï.x", "ünï_x")]
    {
        let (flow, _) = Flow::parse("flow.dag.yaml", "nodes: []", folder, &Folder::of(&[])).unwrap();
        assert_eq!((flow.id().as_str(), flow.span_name()), (folder, expected));
    }
}

#[test]
fn an_empty_flow_is_legal() {
    check("", &[]);
    check("inputs:\noutputs:\nnodes:\n", &[]);
}

#[test]
fn values_of_the_file_pass_without_loss() {
    let manifest = "
inputs:
  v: {type: object, default: {b: 123456789012345678901234567890, a: [017, 0o17, 1_000, 1e3, -0012, yes, True, ~, 2020-01-01, 'é']}}
";
    assert_eq!(
        flow(manifest).inputs()["v"].default.as_ref().unwrap().as_str(),
        r#"{"b":123456789012345678901234567890,"a":[17,15,1000,1000.0,-12,"yes",true,null,"2020-01-01","é"]}"#
    );
}

#[test]
fn anchors_and_merge_keys_are_understood() {
    let manifest = "
inputs:
  a: &base {type: string, default: x}
  b: *base
  c: {<<: *base, default: y}
";
    let flow = flow(manifest);
    let defaults: Vec<_> = flow.inputs().values().map(|input| input.default.as_ref().unwrap().as_str()).collect();
    assert_eq!(defaults, [r#""x""#, r#""x""#, r#""y""#]);
}

#[test]
fn variants_replace_a_node_whole() {
    let flow = flow(
        "
nodes:
- {name: n, use_variants: true}
- {name: m, use_variants: true, type: wasm, source: {path: echo.wasm}}
node_variants:
  n:
    default_variant_id: v1
    variants:
      v0: {node: {type: nonsense}}
      v1: {description: d, node: {type: prompt, source: {path: hello.jinja2}, inputs: {name: x}}}
",
    );
    let kinds: Vec<_> = flow.nodes().map(|(_, node)| (node.id.as_str(), node.kind.name())).collect();
    assert_eq!(kinds, [("n", "prompt"), ("m", "wasm")]);
}

#[test]
fn aggregation_nodes_are_left_out_with_the_outputs_that_show_them() {
    let manifest = "
outputs:
  score: {type: double, reference: '${sum.output}'}
  text: {type: string, reference: '${n.output}'}
nodes:
- {name: n, type: wasm, source: {path: echo.wasm}}
- {name: sum, type: python, source: {path: sum.py}, inputs: {x: '${n.output}'}, aggregation: true}
- {name: old, type: python, source: {path: sum.py}, inputs: {x: '${n.output}'}, reduce: true}
";
    let flow = flow(manifest);
    assert_eq!((flow.nodes().len(), flow.aggregation()), (1, &Aggregation::LeftOut));
    assert_eq!(flow.outputs().keys().collect::<Vec<_>>(), ["text"]);
    check(
        manifest,
        &[
            "warning 3:36: output \"score\" references the aggregation node \"sum\", which serving does not run; it is left out",
            "warning 7:44: load tool failed for node \"sum\": file \"sum.py\" cannot be found",
            "warning 8:44: load tool failed for node \"old\": file \"sum.py\" cannot be found",
        ],
    );
}

const SHOWN: &str = "
outputs:
  a: {type: string, reference: '${a.output}'}
  b: {type: string, reference: '${b.output}', evaluation_only: true}
  c: {type: int, reference: 5}
nodes:
- {name: a, type: wasm, source: {path: echo.wasm}}
- {name: b, type: wasm, source: {path: echo.wasm}}
";

/// The outputs that replies show if the operator names these, and the warnings, or else the problems.
fn shown(manifest: &str, names: &str) -> (String, String) {
    let mut draft = Flow::draft("flow.dag.yaml", manifest, "f", &folder());
    draft.show_only("VARIABLE", names);
    match draft.finish() {
        Ok((flow, warnings)) => {
            let shown = flow.outputs().iter().filter(|(_, output)| !output.evaluation_only);
            let shown: Vec<_> = shown.map(|(name, _)| name.as_str()).collect();
            let candidates = flow.stream_candidates().into_iter().map(|(_, name)| name);
            let text = format!("{} / {}", shown.join(" "), candidates.collect::<Vec<_>>().join(" "));
            (text, warnings.iter().map(ToString::to_string).collect())
        }
        Err(problems) => (String::new(), problems.plain()),
    }
}

#[test]
fn an_operator_decides_which_outputs_are_shown() {
    let dag = |names: &str| shown(SHOWN, names);
    assert_eq!(dag(r#"["c", "b"]"#), ("b c / b".into(), String::new()));
    assert_eq!(dag("[]").0, " / ");
    assert_eq!(
        dag(r#"["nope", "a"]"#),
        ("a / a".into(), "VARIABLE: the flow has no output \"nope\"; outputs are: a, b, c".into())
    );
    for names in ["a", r#""a""#, "[1]", "{}"] {
        let problem = "VARIABLE: expected a JSON list of outputs by name, such as [\"answer\"], found ";
        assert!(dag(names).1.ends_with(&format!("  {problem}{names}")), "{}", dag(names).1);
    }
    assert_eq!(shown("entry: echo.wasm\n", "[]").0, "output / output");
}

#[test]
fn only_a_node_that_one_output_shows_whole_and_nobody_needs_may_stream() {
    let flow = flow("
outputs:
  whole: {type: string, reference: '${whole.output}'}
  part: {type: string, reference: '${part.output.x}'}
  one: {type: string, reference: '${twice.output}'}
  two: {type: string, reference: '${twice.output}'}
  needed: {type: string, reference: '${needed.output}'}
  asked: {type: string, reference: '${asked.output}'}
  hidden: {type: string, reference: '${hidden.output}', evaluation_only: true}
nodes:
- {name: whole, type: wasm, source: {path: echo.wasm}, inputs: {x: '${needed.output}'}, activate: {when: '${asked}', is: 1}}
- {name: part, type: wasm, source: {path: echo.wasm}}
- {name: twice, type: wasm, source: {path: echo.wasm}}
- {name: needed, type: wasm, source: {path: echo.wasm}}
- {name: asked, type: wasm, source: {path: echo.wasm}}
- {name: hidden, type: wasm, source: {path: echo.wasm}}
");
    assert_eq!(flow.stream_candidates(), [(flow.find("whole").unwrap(), "whole")]);
}

#[test]
fn a_node_that_is_known_to_answer_whole_is_no_stream() {
    const NODES: &str = "
outputs:
  hello: {type: string, reference: '${hello.output}'}
  chat: {type: string, reference: '${chat.output}'}
  complete: {type: string, reference: '${complete.output}'}
  echo: {type: string, reference: '${echo.output}'}
nodes:
- {name: hello, type: prompt, source: {type: code, path: hello.jinja2}}
- {name: chat, type: llm, source: {type: code, path: hello.jinja2}, connection: offline, api: chat}
- {name: complete, type: llm, source: {type: code, path: hello.jinja2}, connection: offline, api: completion}
- {name: echo, type: wasm, source: {path: echo.wasm}}
";
    for (description, expected) in [
        (r#"{"streams": true}"#, "chat echo"),
        // It does not say.
        ("{}", "chat echo"),
        (r#"{"streams": false}"#, "chat"),
    ] {
        let mut draft = Flow::draft("flow.dag.yaml", NODES, "f", &folder());
        draft.described(draft.flow().find("echo").unwrap(), &Description::parse(description));
        let (flow, _) = draft.finish().unwrap();
        let names: Vec<_> = flow.stream_candidates().into_iter().map(|(_, name)| name).collect();
        assert_eq!(names.join(" "), expected, "{description}");
    }
}

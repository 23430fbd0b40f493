//! The document of a flow by its text, and against recordings of the original.

use super::failures::FAILURES;
use super::*;
use crate::boundary::error::NodeFailure;
use crate::flow::tests::flow;

const TEXT: &str = "
inputs: {text: {type: string}}
outputs: {result: {type: string, reference: '${n.output}'}, length: {type: int, reference: '${n.output.length}'}}
nodes: [{name: n, type: prompt, source: {type: code, path: hello.jinja2}, inputs: {name: '${inputs.text}'}}]
";

const CHAT: &str = "
inputs:
  question: {type: string, is_chat_input: true}
  chat_history: {type: list, default: [], is_chat_history: true}
outputs: {answer: {type: string, reference: '${chat.output}', is_chat_output: true}}
nodes:
- {name: chat, type: llm, source: {type: code, path: chat.jinja2}, connection: offline, api: chat,
   inputs: {model: m, question: '${inputs.question}', chat_history: '${inputs.chat_history}'}}
";

fn of(flow_text: &str) -> Value {
    document(&flow(flow_text), &Facts::default())
}

/// Asserts that everything that the original said is said, but for what is marked as another's decision.
#[track_caller]
fn check_kept(original: &Value, ours: &Value, place: &str) {
    match original {
        Value::Object(members) => {
            for (name, value) in members {
                let ours = ours.get(name).unwrap_or_else(|| panic!("{place} has no {name:?}"));
                check_kept(value, ours, &format!("{place}/{name}"));
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                check_kept(item, &ours[at], &format!("{place}/{at}"));
            }
        }
        _ => assert_eq!(ours, original, "{place}"),
    }
}

#[test]
fn what_the_original_said_of_a_flow_is_said() {
    let score = |inputs: Value, required: Value, outputs: Value| {
        json!({
            "summary": "run promptflow: my-flow with an given input",
            "requestBody": {
                "description": "promptflow input data", "required": true,
                "content": {"application/json": {
                    "schema": {"type": "object", "properties": inputs, "required": required}, "example": {},
                }},
            },
            "responses": {"200": {
                "description": "successful operation",
                "content": {"application/json": {"schema": {"type": "object", "properties": outputs}}},
            }},
        })
    };
    let feedback = json!({
        "post": {
            "summary": "collect promptflow feedback",
            "requestBody": {"description": "promptflow feedback data", "required": true, "content": {"application/json": {}}},
            "responses": {"200": {
                "description": "successful operation",
                "content": {"application/json": {"schema": {"type": "object", "additionalProperties": {}}}},
            }},
        },
        "parameters": [{
            "name": "flatten", "in": "query", "required": false, "schema": {"type": "boolean"},
            "description": "flatten the feedback data into traced data",
        }],
    });
    let whole = |info: Value, score: Value| {
        json!({
            "info": info,
            "components": {"securitySchemes": {"bearerAuth": {"type": "http", "scheme": "bearer"}}},
            "paths": {"/score": {"post": score}, "/feedback": feedback},
        })
    };
    let info = json!({"title": "Promptflow[my-flow] API", "version": "1.0.0", "x-flow-name": "my-flow"});
    let outputs = json!({"result": {"type": "string"}, "length": {"type": "integer"}});
    check_kept(&whole(info, score(json!({"text": {"type": "string"}}), json!(["text"]), outputs)), &of(TEXT), "");

    let info = json!({
        "title": "Promptflow[my-flow] API", "version": "1.0.0", "x-flow-name": "my-flow", "x-flow-type": "chat",
        "x-chat-input": "question", "x-chat-history": "chat_history", "x-chat-output": "answer",
    });
    let inputs = json!({
        "question": {"type": "string"},
        "chat_history": {"type": "array", "items": {"type": "object", "additionalProperties": {}}},
    });
    let score = score(inputs, json!(["question", "chat_history"]), json!({"answer": {"type": "string"}}));
    check_kept(&whole(info, score), &of(CHAT), "");
}

/// `expected` is the schema of an input of this type, without what says the type.
#[track_caller]
fn check_input(written: &str, mut expected: Value) {
    let document = of(&format!("inputs: {{x: {written}}}\nnodes: []\n"));
    let schema = &document["paths"]["/score"]["post"]["requestBody"]["content"]["application/json"]["schema"];
    let mut found = schema["properties"]["x"].clone();
    let (found, expected) = (found.as_object_mut().expect("a schema"), expected.as_object_mut().expect("a schema"));
    found.remove("x-promptflow-type");
    assert_eq!(found, expected, "{written}");
}

#[test]
fn types_and_defaults_are_those_of_the_original() {
    check_input("{type: int, default: '7'}", json!({"type": "integer", "default": 7}));
    check_input("{type: double, default: 2}", json!({"type": "number", "default": 2.0}));
    check_input("{type: bool, default: true}", json!({"type": "boolean", "default": true}));
    check_input(
        "{type: string, default: a, description: b}",
        json!({"type": "string", "description": "b", "default": "a"}),
    );
    check_input("{type: list, default: [a, 1]}", json!({"type": "array", "items": {}, "default": ["a", 1]}));
    check_input(
        "{type: object, default: {a: 1}}",
        json!({"type": "object", "additionalProperties": {}, "default": {"a": 1}}),
    );
    check_input("{type: image}", json!({"type": "object"}));
    check_input("{type: file_path}", json!({"type": "string"}));
    check_input("{type: assistant_definition}", json!({"type": "object", "additionalProperties": {}}));
}

#[test]
fn a_default_that_python_takes_for_false_is_not_shown_nor_one_of_another_type() {
    for (kind, default) in [
        ("int", "0"),
        ("double", "0.0"),
        ("bool", "false"),
        ("string", "''"),
        ("list", "[]"),
        ("object", "{}"),
        ("object", "5"),
    ] {
        let document = of(&format!("inputs: {{x: {{type: {kind}, default: {default}}}}}\nnodes: []\n"));
        assert!(
            !document.to_string().contains("\"default\":{}")
                && !document["paths"]["/score"]["post"]["requestBody"].to_string().contains("default"),
            "{kind} {default}"
        );
    }
    // Who reads the document may be anyone.
    check_input("{type: secret, default: s3cret}", json!({"type": "string", "format": "password"}));
}

#[test]
fn a_flow_without_inputs_needs_no_body() {
    let document = of(
        "outputs: {a: {type: list, reference: '${n.output}', description: d}}\nnodes: [{name: n, type: prompt, source: {type: code, path: hello.jinja2}, inputs: {name: a}, activate: {when: 1, is: 1}}]\n",
    );
    let score = &document["paths"]["/score"]["post"];
    assert_eq!(
        score["requestBody"],
        json!({
            "description": "promptflow input data", "required": false,
            "content": {"application/json": {"schema": {"type": "object"}, "example": {}}},
        })
    );
    // Null if the node is bypassed.
    assert_eq!(
        score["responses"]["200"]["content"]["application/json"]["schema"]["properties"],
        json!({"a": {"type": "array", "items": {}, "nullable": true, "description": "d"}})
    );
}

#[test]
fn only_flows_that_can_stream_say_so() {
    let types = |document: &Value| {
        let content = &document["paths"]["/score"]["post"]["responses"]["200"]["content"];
        content.as_object().expect("media types").keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(types(&of(CHAT)), ["application/json", "text/event-stream"]);
    let copies = "inputs: {x: {type: int}}\noutputs: {x: {type: int, reference: '${inputs.x}'}}\nnodes: []\n";
    assert_eq!(types(&of(copies)), ["application/json"]);
}

#[test]
fn the_first_sample_is_the_example() {
    let samples = r#"[{"text": "a"}, {"text": "b"}]"#;
    let facts = Facts { example: sample(samples).expect("a list of objects"), ..Facts::default() };
    let document = document(&flow(TEXT), &facts);
    let content = &document["paths"]["/score"]["post"]["requestBody"]["content"];
    assert_eq!(content["application/json"]["example"], json!({"text": "a"}));

    assert_eq!(sample("[]"), Ok(None));
    for wrong in [r#"{"text": "a"}"#, r#"["a"]"#, "text"] {
        assert!(sample(wrong).expect_err(wrong).starts_with("samples.json: "), "{wrong}");
    }
}

#[test]
fn keys_are_asked_for_only_where_they_are_needed() {
    let guarded = |document: &Value, path: &str, method: &str| {
        let operation = &document["paths"][path][method];
        let security = operation.get("security").or(document.get("security")).cloned();
        (security.unwrap_or_else(|| json!([])) != json!([]), operation["responses"].get("401").is_some())
    };
    let (flow, all) = (flow(CHAT), [("/score", "post"), ("/feedback", "post"), ("/swagger.json", "get")]);
    let with_keys = document(&flow, &Facts { keys_required: true, ..Facts::default() });
    let without = document(&flow, &Facts::default());
    for (path, method) in all {
        assert_eq!(guarded(&with_keys, path, method), (true, true), "{path}");
        assert_eq!(guarded(&without, path, method), (false, false), "{path}");
    }
    for path in ["/health", "/version", "/"] {
        assert_eq!(guarded(&with_keys, path, "get"), (false, false), "{path}");
    }
}

#[test]
fn deployments_are_told_by_name() {
    let facts = Facts { deployments: vec!["blue".to_owned(), "green".to_owned()], ..Facts::default() };
    let document = document(&flow(TEXT), &facts);
    let parameters = document["paths"]["/score"]["parameters"].as_array().expect("parameters");
    let of_name = parameters.iter().find(|parameter| parameter["name"] == "azureml-model-deployment");
    assert_eq!(of_name.expect("it is declared")["schema"], json!({"type": "string", "enum": ["blue", "green"]}));
}

#[test]
fn every_way_in_which_a_node_fails_has_its_code_in_the_list() {
    let codes: Vec<_> = FAILURES.iter().flat_map(|failure| failure.codes).copied().collect();
    for failure in NodeFailure::ALL {
        assert!(codes.contains(&failure.code()), "{}", failure.code());
    }
    // Failures of services have the status that the operator wants.
    let of_services = |code: &&str| code.starts_with("Upstream") || *code == "CircuitOpen";
    let mut others: Vec<_> = codes.into_iter().filter(|code| !of_services(code)).collect();
    let count = others.len();
    others.sort_unstable();
    others.dedup();
    assert_eq!(others.len(), count, "a code stands at one status");
}

/// Finds `StatusCode::NAME, "Code"`, however it is broken into lines.
fn statuses_with_codes(source: &str) -> Vec<(String, String)> {
    let word = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for part in source.split("StatusCode::").skip(1) {
        let status = word(part);
        let rest = part[status.len()..].trim_start_matches([',', ' ', '\n']);
        if let Some(text) = rest.strip_prefix('"').filter(|text| text.starts_with(|c: char| c.is_ascii_uppercase())) {
            found.push((status, word(text)));
        }
    }
    found
}

#[test]
fn every_code_that_the_server_answers_with_is_in_the_list() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server");
    let mut folders = vec![folder];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the source") {
            let path = entry.expect("a file of the source").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                found.extend(statuses_with_codes(&std::fs::read_to_string(&path).expect("a file of the source")));
            }
        }
    }
    assert!(found.len() > 10, "the search finds too little: {found:?}");
    for (status, code) in found {
        let named = |failure: &&failures::Failure| {
            let reason = failure.status.canonical_reason().expect("a status of the standard");
            reason.to_uppercase().replace([' ', '-'], "_") == status
        };
        let listed = FAILURES.iter().find(named).map_or(&[][..], |failure| failure.codes);
        assert!(listed.contains(&code.as_str()), "{status} {code}: add it in swagger/failures.rs");
    }
}

#[test]
fn every_status_that_a_path_names_is_described() {
    let document = document(&flow(CHAT), &Facts { keys_required: true, ..Facts::default() });
    let statuses = |path: &str, method: &str| {
        let responses = document["paths"][path][method]["responses"].as_object().expect("responses");
        responses.keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        statuses("/score", "post"),
        "200 400 401 403 404 405 406 408 413 414 415 429 431 500 502 503 504 default"
    );
    assert_eq!(statuses("/feedback", "post"), "200 400 401 403 405 408 413 414 415 429 431 500 503 default");
    let of_all = of(CHAT)["paths"]["/feedback"]["post"]["responses"]["403"].clone();
    assert_eq!(of_all, json!({"$ref": "#/components/responses/Forbidden"}), "a token may be wrong without keys too");
    assert_eq!(statuses("/swagger.json", "get"), "200 400 401 403 405 408 414 429 431 503 default");
    assert_eq!(statuses("/health", "get"), "200 400 405 408 414 431 503 default");
}

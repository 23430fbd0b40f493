//! Which inputs are parameters, and in which form.

use serde_json::json;

use super::*;

type Take = fn(&mut Map<String, Value>) -> Result<Parameters, NodeError>;

const OPEN_AI: Take = |inputs| of_chat(inputs, false);

#[track_caller]
fn check(take: Take, inputs: Value, expected: &Value) {
    let Value::Object(mut inputs) = inputs else { panic!("inputs are an object") };
    let parameters = take(&mut inputs).expect("these parameters fit");
    assert_eq!(&json!({"parameters": parameters.values, "variables": inputs}), expected);
}

#[test]
fn what_is_no_parameter_is_a_variable() {
    check(
        OPEN_AI,
        json!({"temperature": 0.5, "question": "why", "echo": true, "seed": 7}),
        &json!({
            "parameters": {"temperature": 0.5, "top_p": 1.0, "seed": 7},
            "variables": {"question": "why", "echo": true},
        }),
    );
}

#[test]
fn quoted_numbers_are_numbers() {
    check(
        of_completion,
        json!({"temperature": "0.7", "top_p": 1, "max_tokens": "256", "n": 1.0, "logprobs": "2", "echo": "True"}),
        &json!({
            "parameters": {
                "temperature": 0.7, "top_p": 1.0, "max_tokens": 256, "n": 1, "logprobs": 2, "echo": true,
            },
            "variables": {},
        }),
    );
}

#[test]
fn empty_values_are_not_set() {
    check(
        OPEN_AI,
        json!({
            "temperature": null, "stop": "", "max_tokens": "inf", "logit_bias": {}, "tools": [], "stream": true,
            "tool_choice": "auto", "function_call": "auto",
        }),
        &json!({"parameters": {"temperature": 1.0, "top_p": 1.0}, "variables": {}}),
    );
}

#[test]
fn inputs_come_before_the_parameters_of_a_prompty_if_they_are_meant() {
    let given = json!({"max_tokens": 50, "seed": 5, "stream": true, "max_completion_tokens": 60});
    let Value::Object(given) = given else { panic!("parameters are an object") };
    let inputs = json!({"max_tokens": "3", "max_completion_tokens": "70", "seed": "", "stop": null, "who": "u"});
    let Value::Object(mut inputs) = inputs else { panic!("inputs are an object") };
    let parameters = of_prompty(Some(given.clone()), true, Api::Chat, &mut inputs).expect("these parameters fit");
    assert_eq!(Value::from(parameters.values), json!({"max_tokens": 3, "seed": 5, "max_completion_tokens": "70"}));
    assert_eq!((parameters.stream, Value::from(inputs)), (true, json!({"who": "u"})));

    let no_limit = json!({"max_tokens": "inf"});
    let Value::Object(mut inputs) = no_limit else { panic!("inputs are an object") };
    let parameters = of_prompty(Some(given), true, Api::Chat, &mut inputs).expect("these parameters fit");
    assert_eq!(parameters.values.get("max_tokens"), None);
}

#[test]
fn tools_replace_functions() {
    check(
        OPEN_AI,
        json!({"tools": [{}], "tool_choice": "auto", "functions": [{}], "function_call": "none"}),
        &json!({
            "parameters": {"tools": [{}], "tool_choice": "auto", "temperature": 1.0, "top_p": 1.0},
            "variables": {},
        }),
    );
}

#[track_caller]
fn check_error(inputs: Value, expected: &str) {
    let Value::Object(mut inputs) = inputs else { panic!("inputs are an object") };
    assert_eq!(OPEN_AI(&mut inputs), Err(NodeError::user("InvalidInputs", expected)));
}

#[test]
fn a_value_of_another_form_is_refused() {
    check_error(json!({"temperature": "warm"}), r#"input "temperature": expected a number"#);
    check_error(json!({"max_tokens": 1.5}), r#"input "max_tokens": expected a whole number"#);
    check_error(json!({"seed": true}), r#"input "seed": expected a whole number"#);
}

#[test]
fn a_prompty_sends_what_it_is_given() {
    let given = json!({"temperature": "0.5", "max_completion_tokens": 9, "stream": true, "seed": null, "stop": ""});
    let Value::Object(given) = given else { panic!("parameters are an object") };
    let mut inputs = Map::from_iter([("user".to_owned(), json!("Ada"))]);
    let parameters = of_prompty(Some(given), false, Api::Chat, &mut inputs).expect("these parameters fit");
    assert!(parameters.stream);
    assert_eq!(Value::Object(parameters.values), json!({"temperature": "0.5", "max_completion_tokens": 9, "stop": ""}));
    assert_eq!(Value::Object(inputs), json!({"user": "Ada"}));
}

#[test]
fn a_prompty_without_a_list_of_parameters_has_them_among_its_inputs() {
    check(
        |inputs| of_prompty(None, false, Api::Completion, inputs),
        json!({"best_of": 2, "seed": 1, "stream": false, "question": "why"}),
        &json!({"parameters": {"best_of": 2}, "variables": {"seed": 1, "question": "why"}}),
    );
}

#[test]
fn a_detail_is_one_of_three() {
    let mut inputs = Map::from_iter([("detail".to_owned(), json!("huge"))]);
    let message = r#"input "detail": expected one of auto, low and high, found "huge""#;
    assert_eq!(of_vision(&mut inputs), Err(NodeError::user("InvalidInputs", message)));
}

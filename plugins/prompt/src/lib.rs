//! The node behind prompt flow's `type: prompt`: renders a template with its inputs.

use serde_json::{Map, Value};
use weir_sdk::{NodeError, data, node};
use weir_template::{Lists, render, unwrap_texts};

/// The template, and beside it any variables.
#[data]
struct Inputs {
    /// The text of the Jinja template.
    template: String,
    /// Names of the variables that hold a caller's text. They matter where a prompt becomes a chat: see the plugin
    /// `llm`.
    #[serde(default, rename = "_inputs_to_escape")]
    inputs_to_escape: Option<Vec<String>>,
    /// `openai-vision` if objects may stand for texts.
    #[serde(default, rename = "_message_format")]
    message_format: Option<String>,
    #[serde(flatten)]
    variables: Map<String, Value>,
}

/// Renders a Jinja template.
#[node(uses = [])]
fn prompt(inputs: Inputs) -> Result<String, NodeError> {
    let Inputs { template, inputs_to_escape: _, message_format, mut variables } = inputs;
    if message_format.as_deref() == Some("openai-vision") {
        variables.values_mut().for_each(unwrap_texts);
    }
    Ok(render(&template, &variables, Lists::Python)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_other_input_is_a_variable() {
        let inputs = json!({"template": "{{ a }} {{ b }}", "_inputs_to_escape": ["a"], "a": "x", "b": [true]});
        let inputs = serde_json::from_value(inputs).expect("these inputs fit");
        assert_eq!(prompt(inputs), Ok("x [True]".to_owned()));
    }

    #[test]
    fn a_flow_in_openais_form_has_objects_that_are_texts() {
        let prompt_of = |format: &str| {
            let inputs = json!({"template": "{{ a }}", "_message_format": format, "a": {"type": "text", "text": "x"}});
            prompt(serde_json::from_value(inputs).expect("these inputs fit")).expect("this template renders")
        };
        assert_eq!(
            (prompt_of("openai-vision").as_str(), prompt_of("basic").as_str()),
            ("x", "{'type': 'text', 'text': 'x'}")
        );
    }

    #[test]
    fn a_template_that_fails_blames_the_user() {
        let inputs = serde_json::from_value(json!({"template": "{% if %}"})).expect("these inputs fit");
        let error = prompt(inputs).expect_err("this template fails");
        assert_eq!((error.blame, &*error.code), (weir_sdk::Blame::User, "JinjaTemplateError"));
    }
}

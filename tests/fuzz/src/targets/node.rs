//! What nodes are made of and given: the bytes of a component, and prompts with what callers say in them.

use std::sync::LazyLock;

use serde_json::{Value, json};
use weir::sandbox::component::{Config, Workshop};
use weir_plugin_llm::{Question, Request};

use super::text;

/// A component: loaded and linked, up to where it could be instantiated.
pub fn component(data: &[u8]) {
    static WORKSHOP: LazyLock<Workshop> =
        LazyLock::new(|| Workshop::open(Config::default()).expect("the engine can be set up"));
    if let Err(error) = WORKSHOP.load("fuzzed", data) {
        let told = error.to_string();
        assert!(told.len() <= 64 * 1024, "{} bytes are told about a component", told.len());
    }
}

/// A prompt: as the text of a flow's own, and as what a caller says in one.
pub fn prompt_markup(data: &[u8]) {
    let Some(text) = text(data) else { return };
    for manner in [json!({}), json!({"_tool": "vision"}), json!({"_answer": {}}), json!({"_service": "azure_open_ai"})]
    {
        match messages("{{text}}", text, false, &manner) {
            Ok(messages) => messages.iter().for_each(sound),
            Err(told) => assert!(told.len() <= 4096, "{} bytes are told about a prompt", told.len()),
        }
        let said = messages(TEMPLATE, text, true, &manner).expect("callers cannot break a prompt");
        let said: Vec<_> = said.iter().map(|message| message.as_object().expect("a message is an object")).collect();
        let roles: Vec<_> = said.iter().map(|message| message["role"].as_str().unwrap_or_default()).collect();
        assert_eq!(roles, ["system", "user", "assistant"], "callers open no message");
        assert!(said.iter().all(|message| message.len() == 2), "callers write no headings: {said:?}");
        assert_eq!((&said[0]["content"], &said[2]["content"]), (&json!("Be brief."), &json!("Well.")));
        match &said[1]["content"] {
            // Within a line it cannot be shown.
            content if is_image(text) && *content == "I say: Image(1)" => {}
            content => assert_eq!(*content, expected(text), "what was said is told as it was said"),
        }
    }
}

/// The caller speaks between two other messages, behind words of the author.
const TEMPLATE: &str = "system:\nBe brief.\nuser:\nI say: {{text}}\nassistant:\nWell.\n";

fn expected(text: &str) -> String {
    let space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
    let said = format!("I say: {text}");
    let said = said.trim_matches(space);
    // In prompt flow's pattern for the role that comes next, a sign before it may stand on a line of its own.
    let sign =
        said.strip_suffix('#').filter(|before| before.trim_end_matches(|c| c != '\n' && space(c)).ends_with('\n'));
    sign.map_or(said, |before| before.trim_end_matches(space)).to_owned()
}

/// The form in which a prompty takes an image as a text.
fn is_image(text: &str) -> bool {
    text.starts_with("data:image/")
}

fn messages(template: &str, text: &str, escape: bool, manner: &Value) -> Result<Vec<Value>, String> {
    let mut inputs = json!({"prompt": template, "connection": "c", "text": text});
    let inputs_of = inputs.as_object_mut().expect("an object");
    inputs_of.extend(manner.as_object().expect("an object").clone());
    if escape {
        inputs_of.insert("_inputs_to_escape".to_owned(), json!(["text"]));
    }
    let inputs = serde_json::from_value(inputs).expect("these inputs fit");
    match Request::build(inputs).map_err(|error| error.message)?.question {
        Question::Chat(messages) => Ok(messages),
        Question::Completion(prompt) => Err(prompt),
    }
}

fn sound(message: &Value) {
    let role = message["role"].as_str().expect("a message has a role");
    assert!(["system", "user", "assistant", "function", "tool"].contains(&role), "{role}");
    let content = &message["content"];
    assert!(content.is_string() || content.is_array() || message.get("tool_calls").is_some(), "{message}");
}

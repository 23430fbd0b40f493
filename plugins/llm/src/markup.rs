//! From the rendered text of a chat to its messages. Not the request: see lib.rs.

pub(crate) mod roles;

pub(crate) mod headings;

mod literal;

use serde_json::{Map, Value};
use weir_sdk::NodeError;

use crate::images::Images;
use crate::inputs::Manner;
use crate::markup::roles::{ROLES, trim};

/// How much of a text that is no role is repeated in the error: enough to recognise it.
const QUOTED_CHARACTERS: usize = 100;

/// The messages of a chat.
pub(crate) fn parse(text: &str, images: &Images, manner: Manner) -> Result<Vec<Value>, NodeError> {
    let (before, sections) = roles::split(text);
    if !trim(before).is_empty() {
        return Err(no_role(before, manner));
    }
    sections.into_iter().map(|(role, body)| message(&role, body, images, manner)).collect()
}

fn message(role: &str, body: &str, images: &Images, manner: Manner) -> Result<Value, NodeError> {
    let mut message = Map::new();
    message.insert("role".to_owned(), role.into());
    if role == "tool" {
        let (id, content) = headings::value_and_content(body, "tool_call_id").ok_or_else(no_tool_call_id)?;
        message.insert("tool_call_id".to_owned(), id.into());
        message.insert("content".to_owned(), images.content(content));
    } else if let Some(calls) = headings::tool_calls(body, manner).filter(|_| role == "assistant") {
        message.insert("tool_calls".to_owned(), calls);
    } else if let Some((name, content)) = headings::value_and_content(body, "name") {
        message.insert("name".to_owned(), name.into());
        message.insert("content".to_owned(), images.content(content));
    } else if role == "function" {
        return Err(no_function_name());
    } else {
        message.insert("content".to_owned(), images.content(body));
    }
    Ok(Value::Object(message))
}

fn no_role(text: &str, manner: Manner) -> NodeError {
    let code = match manner {
        Manner::Prompty => "ChatAPIInvalidRoleError",
        Manner::Node | Manner::Vision => "ChatAPIInvalidRole",
    };
    let known: Vec<String> = ROLES.iter().map(|role| format!("'{role}:\\n'")).collect();
    let found: String = trim(text).to_lowercase().chars().take(QUOTED_CHARACTERS).collect();
    NodeError::user(
        code,
        format!(
            "The Chat API requires a specific format for prompt definition, and the prompt should include separate \
             lines as role delimiters: {}. Current parsed role '{found}' does not meet the requirement. If you intend \
             to use the Completion API, please select the appropriate API type and deployment name. If you do intend \
             to use the Chat API, please refer to the guideline at https://aka.ms/pfdoc/chat-prompt or view the \
             samples in our gallery that contain 'Chat' in the name.",
            known.join(",")
        ),
    )
}

fn no_tool_call_id() -> NodeError {
    NodeError::user(
        "ChatAPIToolRoleInvalidFormat",
        "Failed to parse tool role prompt. Please make sure the prompt follows the format: \
         'tool_call_id:\\ntool_call_id\\ncontent:\\ntool_content'. 'tool_call_id' is required if role is tool, and it \
         should be the tool call that this message is responding to. See more details in \
         https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages",
    )
}

fn no_function_name() -> NodeError {
    NodeError::user(
        "ChatAPIFunctionRoleInvalidFormat",
        "Failed to parse function role prompt. Please make sure the prompt follows the format: \
         'name:\\nfunction_name\\ncontent:\\nfunction_content'. 'name' is required if role is function, and it should \
         be the name of the function whose response is in the content. May contain a-z, A-Z, 0-9, and underscores, \
         with a maximum length of 64 characters. See more details in \
         https://platform.openai.com/docs/api-reference/chat/create#chat/create-name or view sample 'How to use \
         functions with chat models' in our gallery.",
    )
}

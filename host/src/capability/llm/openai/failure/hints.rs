//! What to do about a refusal, in prompt flow's words, where it knew better than the service. The texts are those of
//! promptflow-tools 1.6.1 (`to_openai_error_message`), so that a search for one leads to the same answers. They name
//! models of their time; what they advise still holds.

use http::StatusCode;

/// What is said in place of the service's message, or before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// Says all that the message says.
    Instead(&'static str),
    /// The message names the place of the mistake, so it follows.
    Before(&'static str),
}

impl Hint {
    /// The text for a person.
    pub(super) fn with(&self, detail: &str) -> String {
        match self {
            Self::Instead(text) => (*text).to_owned(),
            Self::Before(text) => format!("{text}. Original error: {detail}"),
        }
    }
}

/// The hint for a refusal; none if the service's own message is the best there is.
pub(super) fn of(status: StatusCode, message: &str) -> Option<Hint> {
    let has = |part: &str| message.contains(part);
    let hint = if status == StatusCode::UNAUTHORIZED && message.is_empty() {
        Hint::Instead(KEY)
    } else if has("Unrecognized request argument supplied: functions") {
        Hint::Instead(FUNCTIONS)
    } else if has("The completion operation does not work with the specified model")
        || has("parameters are not available") && ["best_of", "echo", "logprobs"].iter().any(|name| has(name))
    {
        Hint::Instead(COMPLETION)
    } else if has("Invalid content type. image_url is only supported by certain models") {
        Hint::Instead(IMAGES)
    } else if has("'response_format' of type") && has("is not supported with this model.")
        || has("Additional properties are not allowed") && has("unexpected) - 'response_format'")
    {
        Hint::Instead(RESPONSE_FORMAT)
    } else if has("Principal does not have access to API/Operation") {
        Hint::Instead(ROLE_ASSIGNMENT)
    } else if has("messages with role 'tool' must be a response")
        || has("'tool_calls' must be followed by tool messages responding to each 'tool_call_id'")
    {
        Hint::Before(TOOL_MESSAGES)
    } else {
        return None;
    };
    Some(hint)
}

const KEY: &str = "The api key is invalid or revoked. You can correct or regenerate the api key of your connection.";

const FUNCTIONS: &str = "Current model does not support the `functions` parameter. If you are using openai connection, \
    then please use gpt-3.5-turbo, gpt-4, gpt-4-32k, gpt-3.5-turbo-0613 or gpt-4-0613. You can refer to \
    https://platform.openai.com/docs/guides/gpt/function-calling. If you are using azure openai connection, then \
    please first go to your Azure OpenAI resource, deploy model 'gpt-35-turbo' or 'gpt-4' with version 0613, then go \
    to prompt flow connection page, upgrade connection api version to '2023-07-01-preview'. You can refer to \
    https://learn.microsoft.com/en-us/azure/ai-services/openai/how-to/function-calling.";

const COMPLETION: &str = "The completion operation does not work with the current model. Completion API is a legacy \
    api and is going to be deprecated soon. Please change to use Chat API for current model. You could refer to \
    guideline at https://aka.ms/pfdoc/chat-prompt or view the samples in our gallery that contain 'Chat' in the name.";

const IMAGES: &str = "Current model does not support the image input. If you are using openai connection, then please \
    use gpt-4-vision-preview. You can refer to https://platform.openai.com/docs/guides/vision.If you are using azure \
    openai connection, then please first go to your Azure OpenAI resource, create a GPT-4 Turbo with Vision deployment \
    by selecting model name: \"gpt-4\" and model version \"vision-preview\". You can refer to \
    https://learn.microsoft.com/en-us/azure/ai-services/openai/how-to/gpt-with-vision";

const RESPONSE_FORMAT: &str = "The response_format parameter needs to be a dictionary such as {\"type\": \"text\"}. \
    The value associated with the type key should be either 'text' or 'json_object' If you are using openai \
    connection, you can only set response_format to { \"type\": \"json_object\" } when calling gpt-3.5-turbo-1106 or \
    gpt-4-1106-preview to enable JSON mode. You can refer to \
    https://platform.openai.com/docs/guides/text-generation/json-mode. If you are using azure openai connection, then \
    please first go to your Azure OpenAI resource, deploy model 'gpt-35-turbo-1106' or 'gpt-4-1106-preview'. You can \
    refer to https://learn.microsoft.com/en-us/azure/ai-services/openai/how-to/json-mode?tabs=python.";

const ROLE_ASSIGNMENT: &str = "Principal does not have access to API/Operation. If you are using azure openai \
    connection, please make sure you have proper role assignment on your azure openai resource. You can refer to \
    https://learn.microsoft.com/en-us/azure/ai-services/openai/how-to/role-based-access-control";

const TOOL_MESSAGES: &str = "Please make sure your chat prompt includes 'tool_calls' within the 'assistant' role. Also, \
    the assistant message must be followed by messages with role 'tool', matching ids of assistant message \
    'tool_calls' property. You could refer to guideline at https://aka.ms/pfdoc/chat-prompt";

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// plugins/llm/tests/fixtures/make.py writes the expectations with prompt flow's own function.
    #[test]
    fn refusals_have_the_hints_of_prompt_flow() {
        let cases: Vec<Value> = serde_json::from_str(include_str!("hints.json")).expect("hints.json is JSON");
        for case in cases {
            let message = case["message"].as_str().expect("a case has a message");
            let hint = of(StatusCode::BAD_REQUEST, message).map(|hint| hint.with(message));
            assert_eq!(hint.as_deref(), case["hint"].as_str(), "{message}");
        }
    }

    #[test]
    fn a_key_that_is_refused_without_a_word_is_wrong() {
        assert_eq!(of(StatusCode::UNAUTHORIZED, ""), Some(Hint::Instead(KEY)));
        assert_eq!(of(StatusCode::BAD_REQUEST, ""), None);
    }
}

//! The answers of a fake model: a function of the script and the request. A token is a word.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};

use super::Gate;
use super::script::{Answer, Script, StreamFault};
use crate::server::{Body, HangUp, whole};

/// Numbers in the vector that stands for a text.
const DIMENSIONS: usize = 4;

/// Answers a request to OpenAI's path, or to Azure's, which has the deployment's name in it.
pub(super) fn respond(script: &Script, gate: &Gate, path: &str, request: &Value) -> Response<Body> {
    let (deployment, operation) = match path.strip_prefix("/openai/deployments/").and_then(|rest| rest.split_once('/'))
    {
        Some((deployment, operation)) => (Some(deployment), operation),
        None => (None, path.strip_prefix("/v1/").unwrap_or(path)),
    };
    let model = deployment.or_else(|| request["model"].as_str()).unwrap_or("fake-model");
    let answering = Answering { script, gate, model, request };
    match operation {
        "chat/completions" if request["stream"] == true => answering.chat_stream(),
        "chat/completions" => answering.chat(),
        "completions" => answering.completion(),
        "embeddings" => answering.embeddings(),
        _ => body(StatusCode::NOT_FOUND, &json!({"error": {"message": format!("no such path: {path}")}})),
    }
}

struct Answering<'a> {
    script: &'a Script,
    gate: &'a Gate,
    model: &'a str,
    request: &'a Value,
}

impl Answering<'_> {
    fn chat(&self) -> Response<Body> {
        let (message, finish_reason) = self.message();
        let mut reply = self.frame(
            "chat.completion",
            &json!([{
                "index": 0,
                "message": message,
                "finish_reason": finish_reason,
            }]),
        );
        self.add_usage(&mut reply, message["content"].as_str().unwrap_or_default());
        body(StatusCode::OK, &reply)
    }

    /// The role, each word, the reason of the end, and what it cost if that was asked for.
    fn chat_stream(&self) -> Response<Body> {
        let (message, finish_reason) = self.message();
        let text = message["content"].as_str().unwrap_or_default();
        let delta = |delta: Value, reason: Value| {
            self.frame("chat.completion.chunk", &json!([{"index": 0, "delta": delta, "finish_reason": reason}]))
        };
        let mut frames = vec![delta(json!({"role": "assistant", "content": ""}), Value::Null)];
        frames.extend(text.split_inclusive(' ').map(|word| delta(json!({"content": word}), Value::Null)));
        frames.push(delta(json!({}), json!(finish_reason)));
        if self.request["stream_options"]["include_usage"] == true {
            let mut usage = self.frame("chat.completion.chunk", &json!([]));
            self.add_usage(&mut usage, text);
            frames.push(usage);
        }
        let texts = frames.iter().map(Value::to_string).chain(["[DONE]".to_owned()]);
        event_stream(texts.map(|text| format!("data: {text}\n\n")).collect(), self.script.stream, self.gate.clone())
    }

    fn completion(&self) -> Response<Body> {
        let text = self.text();
        let choices = json!([{"index": 0, "text": text, "logprobs": null, "finish_reason": "stop"}]);
        let mut reply = self.frame("text_completion", &choices);
        self.add_usage(&mut reply, &text);
        body(StatusCode::OK, &reply)
    }

    fn embeddings(&self) -> Response<Body> {
        let inputs = match &self.request["input"] {
            Value::Array(texts) => texts.clone(),
            text => vec![text.clone()],
        };
        let in_base64 = self.request["encoding_format"] == "base64";
        let items = inputs.iter().enumerate().map(|(index, text)| {
            let vector = vector(text.as_str().unwrap_or_default());
            let embedding = if in_base64 { json!(packed(&vector)) } else { json!(vector) };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        });
        let mut reply = json!({"object": "list", "model": self.model, "data": items.collect::<Vec<_>>()});
        if self.script.tells_usage {
            let tokens: usize = inputs.iter().map(words).sum();
            reply["usage"] = json!({"prompt_tokens": tokens, "total_tokens": tokens});
        }
        body(StatusCode::OK, &reply)
    }

    /// The assistant's message, and why it ends.
    fn message(&self) -> (Value, &'static str) {
        match &self.script.answer {
            Answer::Message(message) if message["tool_calls"].is_array() => (message.clone(), "tool_calls"),
            Answer::Message(message) => (message.clone(), "stop"),
            Answer::Echo | Answer::Text(_) => (json!({"role": "assistant", "content": self.text()}), "stop"),
        }
    }

    fn text(&self) -> String {
        match &self.script.answer {
            Answer::Text(text) => text.clone(),
            Answer::Message(message) => message["content"].as_str().unwrap_or_default().to_owned(),
            Answer::Echo => self.last_question(),
        }
    }

    fn last_question(&self) -> String {
        let messages = self.request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        match messages.iter().rfind(|message| message["role"] == "user").map(|message| &message["content"]) {
            Some(Value::Array(parts)) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
            Some(content) => content.as_str().unwrap_or_default().to_owned(),
            None => self.request["prompt"].as_str().unwrap_or_default().to_owned(),
        }
    }

    /// What all answers with choices have in common.
    fn frame(&self, object: &str, choices: &Value) -> Value {
        json!({"id": "fake-1", "object": object, "created": 0, "model": self.model, "choices": choices})
    }

    fn add_usage(&self, reply: &mut Value, answer: &str) {
        if !self.script.tells_usage {
            return;
        }
        let messages = self.request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let asked = messages.iter().map(|message| words(&message["content"])).sum::<usize>();
        let prompt = asked + words(&self.request["prompt"]);
        let completion = answer.split_whitespace().count();
        reply["usage"] = json!({
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        });
    }
}

/// Words of a text, or of the texts in a list of parts.
fn words(content: &Value) -> usize {
    match content {
        Value::Array(parts) => parts.iter().map(|part| words(&part["text"])).sum(),
        content => content.as_str().unwrap_or_default().split_whitespace().count(),
    }
}

/// A vector that differs between texts and is the same on each run: how often byte values of each remainder occur.
fn vector(text: &str) -> [f32; DIMENSIONS] {
    let mut vector = [0.0; DIMENSIONS];
    for byte in text.bytes() {
        vector[usize::from(byte) % DIMENSIONS] += 1.0;
    }
    vector
}

/// The form that OpenAI gives to `encoding_format: base64`: 32-bit floats, little end first.
fn packed(vector: &[f32]) -> String {
    STANDARD.encode(vector.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())
}

fn body(status: StatusCode, value: &Value) -> Response<Body> {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(whole(value.to_string())).expect("status and header are valid")
}

fn event_stream(mut frames: Vec<String>, fault: StreamFault, gate: Gate) -> Response<Body> {
    let rest = match fault {
        StreamFault::None => Vec::new(),
        StreamFault::CutAfter(kept) | StreamFault::HoldAfter(kept) => frames.split_off(kept.min(frames.len())),
    };
    // Each pause lets the server send what it has, which it would otherwise keep together with what follows.
    let after = async move {
        match fault {
            StreamFault::None => frames_of(Vec::new()),
            StreamFault::CutAfter(_) => {
                tokio::task::yield_now().await;
                vec![Err(HangUp)]
            }
            StreamFault::HoldAfter(_) => {
                gate.pass().await;
                frames_of(rest)
            }
        }
    };
    let parts = stream::iter(frames_of(frames)).chain(stream::once(after).flat_map(stream::iter));
    let response = Response::builder().header("content-type", "text/event-stream");
    response.body(StreamBody::new(parts).boxed_unsync()).expect("the header is valid")
}

fn frames_of(texts: Vec<String>) -> Vec<Result<Frame<Bytes>, HangUp>> {
    texts.into_iter().map(|text| Ok(Frame::data(Bytes::from(text)))).collect()
}

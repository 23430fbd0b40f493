//! The JSON of requests and replies. Messages and deltas pass as the text that the service wrote: nothing is lost.
//!
//! Reading is lenient where services differ (absent ids, null usage, no counts) and strict where a guest would be
//! misled (no choice, a vector too few).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::{RawValue, to_raw_value};

use super::super::backend::{ChatDelta, ChatReply, CompletionReply, EmbeddingReply, Object, Usage};
use super::failure::Refusal;

/// A body that is not what was asked for, though the status says success.
#[derive(Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It has another shape; what was expected.
    Shape(&'static str),
    /// It is an error.
    Refusal(Refusal),
}

/// Makes a chat request one for a streamed answer, with its usage at the end if the service can do that.
pub(super) fn ask_for_stream(request: &mut Object, with_usage: bool) {
    request.insert("stream".to_owned(), constant("true"));
    if with_usage {
        request.insert("stream_options".to_owned(), constant(r#"{"include_usage":true}"#));
    }
}

/// Asks for vectors as base64: a quarter of the bytes, and every bit as the model made it.
pub(super) fn ask_for_base64(request: &mut Object) {
    request.insert("encoding_format".to_owned(), to_raw_value("base64").expect("a string is JSON"));
}

fn constant(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).expect("a constant that is JSON")
}

const CHAT: &str = "the reply is no chat completion";
const COMPLETION: &str = "the reply is no completion";
const CHUNK: &str = "the stream has an event that is no chat completion chunk";

/// # Errors
/// It is no chat completion, or an error.
pub fn chat_reply(body: &[u8]) -> Result<ChatReply, Wrong> {
    let reply: Answer<'_, ChatChoice<'_>> = read(body, CHAT)?;
    let choice = first(reply.choices, |choice| choice.index, "the reply has no choice")?;
    Ok(ChatReply {
        id: reply.id.unwrap_or_default(),
        model: reply.model.unwrap_or_default(),
        message: object(choice.message, CHAT)?.to_owned(),
        finish_reason: choice.finish_reason.unwrap_or_default(),
        usage: reply.usage.map(Into::into),
        raw: whole(body, CHAT)?,
    })
}

/// # Errors
/// It is no completion, or an error.
pub fn completion_reply(body: &[u8]) -> Result<CompletionReply, Wrong> {
    let reply: Answer<'_, TextChoice> = read(body, COMPLETION)?;
    let choice = first(reply.choices, |choice| choice.index, "the reply has no choice")?;
    Ok(CompletionReply {
        id: reply.id.unwrap_or_default(),
        model: reply.model.unwrap_or_default(),
        text: choice.text,
        finish_reason: choice.finish_reason.unwrap_or_default(),
        usage: reply.usage.map(Into::into),
        raw: whole(body, COMPLETION)?,
    })
}

/// Vectors of `count` inputs, in their order.
///
/// # Errors
/// It is no list of as many embeddings, or an error.
pub fn embedding_reply(body: &[u8], count: usize) -> Result<EmbeddingReply, Wrong> {
    let reply: Embeddings<'_> = read(body, "the reply is no list of embeddings")?;
    let mut data = reply.data;
    data.sort_by_key(|embedding| embedding.index);
    if data.len() != count {
        return Err(Wrong::Shape("the reply has not one embedding for each input"));
    }
    let vectors = data.into_iter().map(|embedding| embedding.embedding.floats()).collect::<Option<_>>();
    let vectors = vectors.ok_or(Wrong::Shape("the reply has an embedding that is not 32-bit floats in base64"))?;
    Ok(EmbeddingReply { model: reply.model.unwrap_or_default(), vectors, usage: reply.usage.map(Into::into) })
}

/// One event of a streamed answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Chunk {
    pub id: String,
    pub model: String,
    /// None in events that only count or announce.
    pub delta: Option<ChatDelta>,
    pub usage: Option<Usage>,
}

/// # Errors
/// It is no piece of a chat completion, or an error.
pub fn chunk(data: &str) -> Result<Chunk, Wrong> {
    let chunk: Answer<'_, DeltaChoice<'_>> = read(data.as_bytes(), CHUNK)?;
    // Only the first choice is passed on, as with a whole reply.
    let choice = chunk.choices.into_iter().find(|choice| choice.index == 0);
    Ok(Chunk {
        id: chunk.id.unwrap_or_default(),
        model: chunk.model.unwrap_or_default(),
        delta: choice.map(TryInto::try_into).transpose()?,
        usage: chunk.usage.map(Into::into),
    })
}

/// A body of type `T`; else, if it is an error or anything else, what is wrong.
fn read<'a, T: Reply<'a> + Deserialize<'a>>(body: &'a [u8], expected: &'static str) -> Result<T, Wrong> {
    #[derive(Deserialize)]
    struct Refused<'a> {
        #[serde(borrow)]
        error: Option<&'a RawValue>,
    }
    let refused =
        |error: &RawValue| Wrong::Refusal(Refusal::of(&serde_json::from_str(error.get()).unwrap_or_default()));
    // What derives `Deserialize` would take a list as well.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Wrong::Shape(expected));
    }
    match serde_json::from_slice::<T>(body) {
        Ok(reply) => reply.error().map_or(Ok(()), |error| Err(refused(error))).map(|()| reply),
        // Mostly an error has nothing of a reply beside it.
        Err(_) => Err(match serde_json::from_slice(body) {
            Ok(Refused { error: Some(error) }) => refused(error),
            Ok(Refused { error: None }) | Err(_) => Wrong::Shape(expected),
        }),
    }
}

/// The body as it is. What is passed over in reading is not held against UTF-8; here it is.
fn whole(body: &[u8], expected: &'static str) -> Result<String, Wrong> {
    match serde_json::from_slice::<&RawValue>(body) {
        Ok(json) => object(json, expected).map(str::to_owned),
        Err(_) => Err(Wrong::Shape(expected)),
    }
}

/// The text of an object. Guests are promised one; and what derives `Deserialize` would take a list as well.
fn object<'a>(json: &'a RawValue, expected: &'static str) -> Result<&'a str, Wrong> {
    Some(json.get()).filter(|json| json.starts_with('{')).ok_or(Wrong::Shape(expected))
}

/// The choice with the lowest index: the first, however the service orders them.
fn first<T>(choices: Vec<T>, index: fn(&T) -> u64, expected: &'static str) -> Result<T, Wrong> {
    choices.into_iter().min_by_key(index).ok_or(Wrong::Shape(expected))
}

/// What may be an error all the same.
trait Reply<'a> {
    fn error(&self) -> Option<&'a RawValue>;
}

/// What replies and chunks have in common.
#[derive(Deserialize)]
struct Answer<'a, C> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    id: Option<String>,
    model: Option<String>,
    choices: Vec<C>,
    usage: Option<Counted>,
}

impl<'a, C> Reply<'a> for Answer<'a, C> {
    fn error(&self) -> Option<&'a RawValue> {
        self.error
    }
}

#[derive(Deserialize)]
struct ChatChoice<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    message: &'a RawValue,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct TextChoice {
    #[serde(default)]
    index: u64,
    text: String,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct DeltaChoice<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    finish_reason: Option<String>,
}

impl TryFrom<DeltaChoice<'_>> for ChatDelta {
    type Error = Wrong;

    fn try_from(choice: DeltaChoice<'_>) -> Result<Self, Wrong> {
        #[derive(Deserialize)]
        struct Text {
            content: String,
        }
        let delta = choice.delta.map_or(Ok("{}"), |delta| object(delta, CHUNK))?;
        let content = serde_json::from_str(delta).map_or_else(|_| String::new(), |Text { content }| content);
        Ok(Self { content, delta: delta.to_owned(), finish_reason: choice.finish_reason })
    }
}

#[derive(Deserialize)]
struct Embeddings<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    model: Option<String>,
    data: Vec<Embedding>,
    usage: Option<Counted>,
}

impl<'a> Reply<'a> for Embeddings<'a> {
    fn error(&self) -> Option<&'a RawValue> {
        self.error
    }
}

#[derive(Deserialize)]
struct Embedding {
    #[serde(default)]
    index: u64,
    embedding: Vector,
}

/// Servers that imitate OpenAI's often know no base64 and send numbers all the same.
enum Vector {
    Base64(String),
    Floats(Vec<f32>),
}

impl<'de> Deserialize<'de> for Vector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

/// Takes a [`Vector`] as it is written. What is derived for either would keep each number as a value of any kind first.
struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Vector;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a vector as base64 or as numbers")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vector, E> {
        Ok(Vector::Base64(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Vector, E> {
        Ok(Vector::Base64(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Vector, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Vector::Floats)
    }
}

impl Vector {
    fn floats(self) -> Option<Vec<f32>> {
        let text = match self {
            Self::Floats(floats) => return Some(floats),
            Self::Base64(text) => text,
        };
        let bytes = STANDARD.decode(text).ok()?;
        let (floats, rest) = bytes.as_chunks();
        rest.is_empty().then(|| floats.iter().copied().map(f32::from_le_bytes).collect())
    }
}

/// Usage as services write it: embeddings have no completion, and some give no sum.
#[derive(Deserialize)]
struct Counted {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

impl From<Counted> for Usage {
    fn from(counted: Counted) -> Self {
        let prompt_tokens = counted.prompt_tokens.unwrap_or_default();
        let completion_tokens = counted.completion_tokens.unwrap_or_default();
        let total_tokens = counted.total_tokens.unwrap_or_else(|| prompt_tokens.saturating_add(completion_tokens));
        Self { prompt_tokens, completion_tokens, total_tokens }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_keeps_its_digits_and_the_order_of_its_keys() {
        let message = r#"{"z": 12345678901234567890123, "content" : null, "a":"\u00e4"}"#;
        let body = format!(r#"{{"choices":[{{"index":1,"message":{{}}}},{{"index":0,"message":{message}}}]}}"#);
        let expected = ChatReply {
            id: String::new(),
            model: String::new(),
            message: message.to_owned(),
            finish_reason: String::new(),
            usage: None,
            raw: body.clone(),
        };
        assert_eq!(chat_reply(format!(" {body}\n").as_bytes()), Ok(expected));
    }

    #[test]
    fn what_a_guest_is_given_as_an_object_is_one() {
        for message in ["7", "null", "[]", "\"hi\"", "[[1]]"] {
            let body = format!(r#"{{"choices":[{{"message":{message}}}]}}"#);
            assert_eq!(chat_reply(body.as_bytes()), Err(Wrong::Shape(CHAT)), "{body}");
        }
        for delta in ["7", "[]", "\"hi\""] {
            let data = format!(r#"{{"choices":[{{"delta":{delta}}}]}}"#);
            assert_eq!(chunk(&data), Err(Wrong::Shape(CHUNK)), "{data}");
        }
        let list = r#"["id","model",[{"message":{},"text":""}],null]"#;
        assert_eq!(chat_reply(list.as_bytes()), Err(Wrong::Shape(CHAT)));
        assert_eq!(completion_reply(list.as_bytes()), Err(Wrong::Shape(COMPLETION)));
    }

    #[track_caller]
    fn check_usage(json: &str, prompt_tokens: u64, completion_tokens: u64, total_tokens: u64) {
        let body = format!(r#"{{"choices":[{{"text":""}}],"usage":{json}}}"#);
        let usage = completion_reply(body.as_bytes()).unwrap().usage;
        assert_eq!(usage, Some(Usage { prompt_tokens, completion_tokens, total_tokens }));
    }

    #[test]
    fn usage_may_be_partial() {
        check_usage(r#"{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}"#, 1, 2, 3);
        check_usage(r#"{"prompt_tokens":1,"completion_tokens":2}"#, 1, 2, 3);
        check_usage(r#"{"prompt_tokens":4,"total_tokens":4,"completion_tokens":null}"#, 4, 0, 4);
    }

    #[track_caller]
    fn check_delta(data: &str, content: &str, json: &str, finish_reason: Option<&str>) {
        let (content, delta, finish_reason) = (content.to_owned(), json.to_owned(), finish_reason.map(str::to_owned));
        assert_eq!(chunk(data).unwrap().delta, Some(ChatDelta { content, delta, finish_reason }));
    }

    #[test]
    fn chunks_come_with_and_without_text() {
        let chunk = |delta: &str| format!(r#"{{"choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#);
        for (delta, content) in [
            (r#"{"content":" \u00e4"}"#, " ä"),
            (r#"{"role":"assistant", "content":null}"#, ""),
            (r#"{"content":[1],"seed":1.50}"#, ""),
        ] {
            check_delta(&chunk(delta), content, delta, None);
        }
        check_delta(&chunk("null"), "", "{}", None);
        check_delta(r#"{"choices":[{"finish_reason":"stop"}],"usage":null}"#, "", "{}", Some("stop"));
    }

    #[test]
    fn chunks_of_other_choices_and_those_that_count_have_no_delta() {
        let other = chunk(r#"{"id":"x","choices":[{"index":1,"delta":{"content":"other"}}]}"#);
        assert_eq!(other, Ok(Chunk { id: "x".to_owned(), model: String::new(), delta: None, usage: None }));
        let last = chunk(r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#);
        let usage = Some(Usage { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 });
        assert_eq!(last, Ok(Chunk { id: String::new(), model: String::new(), delta: None, usage }));
    }

    #[test]
    fn an_event_that_is_no_chunk_is_named() {
        assert_eq!(chunk("{}"), Err(Wrong::Shape(CHUNK)));
        assert_eq!(chunk("not json"), Err(Wrong::Shape(CHUNK)));
        assert_eq!(chunk("[1]"), Err(Wrong::Shape(CHUNK)));
        let overloaded = Refusal { message: "overloaded".to_owned(), code: "server_error".to_owned() };
        let refusal = chunk(r#"{"error":{"message":"overloaded","type":"server_error","code":null}}"#);
        assert_eq!(refusal, Err(Wrong::Refusal(overloaded)));
    }

    #[track_caller]
    fn check_vectors(data: &str, expected: Result<&[&[f32]], &'static str>) {
        let body = format!(r#"{{"data":{data},"error":null}}"#);
        let vectors = embedding_reply(body.as_bytes(), 2).map(|reply| reply.vectors);
        assert_eq!(
            vectors,
            expected.map(|vectors| vectors.iter().map(|vector| vector.to_vec()).collect()).map_err(Wrong::Shape)
        );
    }

    #[test]
    fn vectors_come_as_base64_or_as_numbers_and_in_the_order_of_the_inputs() {
        check_vectors(
            r#"[{"index":1,"embedding":[0.5,-1]},{"index":0,"embedding":"AACAPwAAAMA="}]"#,
            Ok(&[&[1.0, -2.0], &[0.5, -1.0]]),
        );
    }

    #[test]
    fn vectors_that_are_none_are_named() {
        let wrong = "the reply has an embedding that is not 32-bit floats in base64";
        check_vectors(r#"[{"index":0,"embedding":"AACA"},{"index":1,"embedding":[]}]"#, Err(wrong));
        check_vectors(r#"[{"index":0,"embedding":"?"},{"index":1,"embedding":[]}]"#, Err(wrong));
        check_vectors(r#"[{"index":0,"embedding":[]}]"#, Err("the reply has not one embedding for each input"));
        check_vectors("7", Err("the reply is no list of embeddings"));
    }
}

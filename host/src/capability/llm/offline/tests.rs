//! What the offline model answers. The texts are a promise: examples print them.

use std::time::Instant;

use http::HeaderMap;

use super::*;
use crate::boundary::facts::Tries;

fn outbound() -> Outbound {
    Outbound { headers: HeaderMap::new(), deadline: Instant::now(), tries: Tries::default() }
}

fn request(messages: &Value, parameters: &str) -> ChatRequest {
    ChatRequest { model: String::new(), messages: messages.to_string(), parameters: parameters.to_owned() }
}

fn now<T>(reply: Reply<T>) -> Result<T, CallError> {
    reply.now_or_never().expect("the offline model never waits")
}

#[track_caller]
fn check(messages: &Value, parameters: &str, content: &str, finish_reason: &str, tokens: (u64, u64)) {
    let request = request(messages, parameters);
    let reply = now(Offline.chat(request.clone(), outbound())).expect("an answer");
    assert_eq!(reply.message, json!({"role": "assistant", "content": content}).to_string());
    assert_eq!((reply.model.as_str(), reply.finish_reason.as_str()), (MODEL, finish_reason));
    assert_eq!(reply.usage, Some(usage(tokens.0, tokens.1)));
    let raw: Value = serde_json::from_str(&reply.raw).expect("JSON");
    assert_eq!(raw["choices"][0]["message"]["content"], content);
    assert_eq!(now(Offline.chat(request, outbound())), Ok(reply), "the same again");
}

#[test]
fn it_repeats_what_the_user_said() {
    let messages = json!([{"role": "system", "content": "be kind"}, {"role": "user", "content": " How are you? "}]);
    check(&messages, "{}", r#"offline model: you said "How are you?", and this is our first turn"#, "stop", (5, 13));
}

#[test]
fn it_counts_earlier_turns() {
    let turn = |text| [json!({"role": "user", "content": text}), json!({"role": "assistant", "content": "yes"})];
    let ask = [json!({"role": "user", "content": [{"type": "text", "text": "three"}, {"type": "image_url"}]})];
    let one: Vec<_> = turn("one").into_iter().chain(ask.clone()).collect();
    let two: Vec<_> = turn("one").into_iter().chain(turn("two")).chain(ask).collect();
    check(&json!(one), "{}", r#"offline model: you said "three", and I have seen 1 earlier turn"#, "stop", (3, 12));
    check(&json!(two), "{}", r#"offline model: you said "three", and I have seen 2 earlier turns"#, "stop", (5, 12));
}

#[test]
fn it_gives_the_first_sentence_for_a_summary() {
    let text = "The v1.2 printer\nis on fire. Please help! It smells.";
    let summary = "offline model: The v1.2 printer is on fire.";
    let with_system =
        json!([{"role": "system", "content": "Summarize the ticket."}, {"role": "user", "content": text}]);
    check(&with_system, "{}", summary, "stop", (13, 8));
    let alone = json!([{"role": "user", "content": format!("Give a short summary:\n\n{text}")}]);
    check(&alone, "{}", summary, "stop", (14, 8));
}

#[test]
fn it_says_so_when_nobody_asked() {
    check(&json!([]), "{}", "offline model: nobody asked anything", "stop", (0, 5));
}

#[test]
fn it_stops_at_max_tokens() {
    let messages = json!([{"role": "user", "content": "hello"}]);
    check(&messages, r#"{"max_tokens": 4}"#, "offline model: you said", "length", (1, 4));
}

#[test]
fn it_quotes_no_more_than_it_should() {
    let messages = json!([{"role": "user", "content": "ä".repeat(10_000)}]);
    let quoted = "ä".repeat(MAX_QUOTE);
    let content = format!(r#"offline model: you said "{quoted}…", and this is our first turn"#);
    check(&messages, "{}", &content, "stop", (1, 11));
}

#[test]
fn a_streamed_answer_is_the_whole_one_word_by_word() {
    let request = request(&json!([{"role": "user", "content": "hi"}]), r#"{"max_tokens": 3}"#);
    let whole = now(Offline.chat(request.clone(), outbound())).expect("an answer");
    let stream = now(Offline.stream_chat(request, outbound())).expect("a stream");
    let events: Vec<_> = stream.collect::<Vec<_>>().now_or_never().expect("no wait").into_iter().flatten().collect();
    let delta = |content: &str, delta: &str, finish_reason: Option<&str>| {
        let finish_reason = finish_reason.map(str::to_owned);
        ChatEvent::Delta(ChatDelta { content: content.to_owned(), delta: delta.to_owned(), finish_reason })
    };
    let expected = [
        ChatEvent::Began { id: whole.id, model: MODEL.to_owned() },
        delta("", r#"{"role":"assistant","content":""}"#, None),
        delta("offline ", r#"{"content":"offline "}"#, None),
        delta("model: ", r#"{"content":"model: "}"#, None),
        delta("you", r#"{"content":"you"}"#, None),
        delta("", "{}", Some("length")),
        ChatEvent::Usage(usage(1, 3)),
    ];
    assert_eq!(events, expected);
}

#[track_caller]
fn check_refused(messages: &str, parameters: &str, message: &str) {
    let request =
        ChatRequest { model: String::new(), messages: messages.to_owned(), parameters: parameters.to_owned() };
    assert_eq!(now(Offline.chat(request, outbound())), Err(invalid(message)));
}

#[test]
fn it_refuses_what_a_service_would_refuse() {
    check_refused("[]", r#"{"stream": true}"#, r#"parameters: "stream" belongs to the host; leave it out"#);
    check_refused("[]", "[]", "parameters: expected a JSON object");
    check_refused("{}", "{}", "messages: expected a JSON array of message objects");
    check_refused("[] []", "{}", "messages: expected a JSON array of message objects");
    check_refused("[1]", "{}", r#"messages: expected objects with the keys "role" and "content""#);
}

#[test]
fn it_completes_a_prompt() {
    let request =
        CompletionRequest { model: "any".to_owned(), prompt: "once upon".to_owned(), parameters: "{}".to_owned() };
    let reply = CompletionReply {
        id: "offline-a40e72f846f5bbbc".to_owned(),
        model: "any".to_owned(),
        text: r#"offline model: the prompt was "once upon""#.to_owned(),
        finish_reason: "stop".to_owned(),
        usage: Some(usage(2, 7)),
        raw: concat!(
            r#"{"id":"offline-a40e72f846f5bbbc","object":"text_completion","created":0,"model":"any","#,
            r#""choices":[{"index":0,"text":"offline model: the prompt was \"once upon\"","finish_reason":"stop"}],"#,
            r#""usage":{"prompt_tokens":2,"completion_tokens":7,"total_tokens":9}}"#,
        )
        .to_owned(),
    };
    assert_eq!(now(Offline.complete(request, outbound())), Ok(reply));
}

fn vectors(inputs: &[&str], parameters: &str) -> Result<Vec<Vec<f32>>, CallError> {
    let inputs = inputs.iter().map(|&text| text.to_owned()).collect();
    let request = EmbeddingRequest { model: String::new(), inputs, parameters: parameters.to_owned() };
    now(Offline.embed(request, outbound())).map(|reply| reply.vectors)
}

#[test]
fn texts_that_share_words_point_the_same_way() {
    let vectors = vectors(&["the printer is on fire", "Fire on the printer!", "a quiet day", ""], "{}").unwrap();
    let cosine =
        |one: usize, other: usize| -> f32 { vectors[one].iter().zip(&vectors[other]).map(|(a, b)| a * b).sum() };
    assert!(vectors.iter().all(|vector| vector.len() == vector::DEFAULT_DIMENSIONS));
    assert!((0..4).all(|one| (cosine(one, one) - 1.0).abs() < 1e-5), "length 1");
    assert!(cosine(0, 1) > 0.8 && cosine(0, 2) < 0.3, "{} and {}", cosine(0, 1), cosine(0, 2));
}

#[test]
fn the_number_of_dimensions_is_bounded() {
    assert_eq!(vectors(&["a"], r#"{"dimensions": 2}"#).unwrap()[0].len(), 2);
    for dimensions in ["0", "4097", "18446744073709551615"] {
        let expected = invalid(format!("dimensions: expected 1 to 4096, found {dimensions}"));
        assert_eq!(vectors(&["a"], &format!(r#"{{"dimensions": {dimensions}}}"#)), Err(expected));
    }
    assert_eq!(vectors(&[], "{}"), Err(invalid("inputs: expected at least one text, found none")));
}

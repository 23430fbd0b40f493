//! What a model's service sends: whole replies, and streams in pieces of any size.

use serde_json::value::RawValue;
use weir::capability::llm::openai::body;
use weir::capability::llm::sse::{Events, NotEvents};

use super::MAX_TEXT;

/// A stream of a service. The first byte says how small an event must be, and the others after how many bytes each piece
/// ends, as far as the first line break; what follows is the stream.
pub fn sse(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (cuts, stream) = data.split_at(end);
    let stream = stream.strip_prefix(b"\n").unwrap_or(stream);
    if stream.len() > MAX_TEXT {
        return;
    }
    let limit = cuts.first().map_or(MAX_TEXT, |byte| usize::from(*byte) * 8);
    let whole = events(limit, [stream]);
    assert_eq!(events(limit, stream.chunks(1)), whole, "byte by byte");
    assert_eq!(events(limit, pieces(stream, cuts)), whole, "cut at other places");
    let (events, ended) = whole;
    let told: usize = events.iter().map(String::len).sum();
    assert!(
        told <= stream.len() && events.iter().all(|event| event.len() <= limit),
        "no event is larger than it may be"
    );
    if ended.is_ok() && limit == MAX_TEXT {
        assert_eq!(events, by_the_standard(std::str::from_utf8(&whole_lines(stream)).expect("it was read")));
    }
    for event in events {
        if let Ok(chunk) = body::chunk(&event) {
            chunk.delta.iter().for_each(|delta| object(&delta.delta));
        }
    }
}

/// The events up to the first error, and that.
fn events<'a>(limit: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Result<(), NotEvents>) {
    let (mut events, mut read) = (Events::new(limit), Vec::new());
    let ended = pieces.into_iter().try_for_each(|piece| {
        let pushed = events.push(piece);
        read.extend(std::iter::from_fn(|| events.take()));
        pushed
    });
    (read, ended)
}

fn pieces<'a>(mut stream: &'a [u8], cuts: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let lengths = cuts.iter().map(|byte| usize::from(*byte)).chain([usize::MAX]);
    lengths.map(move |length| {
        let (piece, rest) = stream.split_at(length.min(stream.len()));
        stream = rest;
        piece
    })
}

/// The stream up to its last line break: what is behind it has not come yet.
fn whole_lines(stream: &[u8]) -> Vec<u8> {
    let end = stream.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    stream[..end].to_vec()
}

/// The HTML standard's steps, one by one.
fn by_the_standard(text: &str) -> Vec<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let (mut events, mut data) = (Vec::new(), Vec::new());
    for line in text.split_terminator('\n') {
        match line.split_once(':').unwrap_or((line, "")) {
            _ if line.is_empty() && data.is_empty() => {}
            _ if line.is_empty() => events.push(std::mem::take(&mut data).join("\n")),
            ("data", value) => data.push(value.strip_prefix(' ').unwrap_or(value)),
            _ => {}
        }
    }
    events
}

/// A whole reply of a service, to each of the three questions that it is asked, and an event of a stream.
pub fn model_reply(data: &[u8]) {
    if data.len() > MAX_TEXT {
        return;
    }
    if let Ok(reply) = body::chat_reply(data) {
        object(&reply.message);
        object(&reply.raw);
        assert_eq!(reply.raw.as_bytes(), data.trim_ascii(), "all that the service wrote");
    }
    if let Ok(reply) = body::completion_reply(data) {
        object(&reply.raw);
    }
    for count in 0..3 {
        if let Ok(reply) = body::embedding_reply(data, count) {
            assert_eq!(reply.vectors.len(), count, "one vector for each input");
        }
    }
    if let Some(chunk) = std::str::from_utf8(data).ok().and_then(|data| body::chunk(data).ok()) {
        chunk.delta.iter().for_each(|delta| object(&delta.delta));
    }
}

/// What a guest is promised to be given.
fn object(json: &str) {
    let text: &RawValue = serde_json::from_str(json).expect("a guest is given JSON");
    assert!(text.get() == json && json.starts_with('{'), "a guest is given an object: {json}");
}

//! What a request may be on the wire, and what its headers may say: its trace, its baggage and the form of the reply.

use http::{HeaderMap, HeaderName, HeaderValue};
use weir::server::listener::framing::Broken;
use weir::server::listener::gate::{Gate, STAND_IN, Step};
use weir::server::listener::head::Limits;
use weir::server::reply::accept::{Accept, Form};
use weir::telemetry::propagation::{self, Propagators};

/// Longest header that is tried: what a request may have in all.
const MAX_HEADERS: usize = 16 * 1024;

/// Bytes of a connection. The first byte says how long the pieces are in which they arrive.
pub fn http_requests(data: &[u8]) {
    let Some((&cut, bytes)) = data.split_first() else { return };
    let (whole, refused, broken) = passed(std::iter::once(bytes));
    let (passed, refused_too, broken_too) = passed(bytes.chunks(usize::from(cut % 16) + 1));
    assert_eq!((refused_too, broken_too), (refused, broken), "in pieces");
    // Where a body breaks, more of it may have passed if less came at once.
    assert!(passed == whole || broken && passed.starts_with(&whole), "in pieces");
    let own = match passed.strip_suffix(STAND_IN) {
        Some(own) if refused => own,
        _ => &passed,
    };
    assert!(own.len() <= bytes.len() && (!refused || own.len() < passed.len()), "nothing is made up");
    // What hyper is given can be read in one way only.
    let mut rest = own;
    while !rest.is_empty() {
        rest = request(rest).unwrap_or_else(|wrong| panic!("{wrong} passes: {:?}", String::from_utf8_lossy(rest)));
    }
}

/// What passes of bytes that arrive in these pieces, if each request is answered at once; whether one was refused, and
/// whether a body broke.
fn passed<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, bool, bool) {
    let limits = Limits { headers: 16, all: 2048, each: 512, uri: 256 };
    let (mut gate, mut passed, mut refused) = (Gate::new(limits), Vec::new(), false);
    for piece in pieces {
        gate.received(piece);
        loop {
            match gate.step(false) {
                Ok(Step::Begin) => refused |= gate.take_refusal().is_some(),
                Ok(Step::Pass) => passed.extend_from_slice(&gate.pass(7)),
                Ok(Step::Body | Step::Idle | Step::Head | Step::Watch | Step::Hold) => break,
                Err(Broken) => return (passed, refused, true),
            }
        }
    }
    (passed, refused, false)
}

/// What follows a request, by the strictest reading of the standard. A body that has not come to its end is whole.
fn request(bytes: &[u8]) -> Result<&[u8], &'static str> {
    let end = find(bytes, b"\r\n\r\n").ok_or("half a head")?;
    let (head, body) = (std::str::from_utf8(&bytes[..end]), &bytes[end + 4..]);
    // Values may hold bytes that are no text; names and what matters here may not.
    let head = head.map_or_else(|_| String::from_utf8_lossy(&bytes[..end]).into_owned(), str::to_owned);
    let mut lines = head.split("\r\n");
    let first: Vec<_> = lines.next().unwrap_or_default().split(' ').collect();
    let [_, _, version @ ("HTTP/1.0" | "HTTP/1.1")] = first[..] else {
        return Err("a first line of other than three words");
    };
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or("a line without a colon")?;
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) || value.contains(['\r', '\n', '\0']) {
            return Err("a header that others may read otherwise");
        }
        headers.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t'])));
    }
    let all =
        |wanted: &str| headers.iter().filter(|(name, _)| name == wanted).map(|(_, value)| *value).collect::<Vec<_>>();
    if all("host").len() > 1 || (version == "HTTP/1.1" && all("host").is_empty()) {
        return Err("a request for no host, or two");
    }
    match (&all("content-length")[..], &all("transfer-encoding")[..]) {
        ([], []) => Ok(body),
        ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
            let length: usize = length.parse().map_err(|_| "a length that is no number")?;
            Ok(&body[length.min(body.len())..])
        }
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") && version == "HTTP/1.1" => chunks(body),
        _ => Err("a body of two lengths"),
    }
}

fn chunks(mut body: &[u8]) -> Result<&[u8], &'static str> {
    loop {
        let Some(end) = find(body, b"\n") else { return Ok(&[]) };
        let line = body[..end].strip_suffix(b"\r").ok_or("a chunk's line without a carriage return")?;
        let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
        let size = std::str::from_utf8(size).ok().filter(|size| size.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let size = size.and_then(|size| u64::from_str_radix(size, 16).ok()).ok_or("a chunk without a size")?;
        body = &body[end + 1..];
        if size == 0 {
            return trailers(body);
        }
        let Some(size) = usize::try_from(size).ok().filter(|size| *size + 2 <= body.len()) else { return Ok(&[]) };
        if &body[size..size + 2] != b"\r\n" {
            return Err("a chunk that does not end");
        }
        body = &body[size + 2..];
    }
}

fn trailers(mut body: &[u8]) -> Result<&[u8], &'static str> {
    loop {
        let Some(end) = find(body, b"\n") else { return Ok(&[]) };
        let line = body[..end].strip_suffix(b"\r").ok_or("a trailer without a carriage return")?;
        body = &body[end + 1..];
        if line.is_empty() {
            return Ok(body);
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// The headers of a trace, a line each: `traceparent: …`.
pub fn trace_context(data: &[u8]) {
    if data.len() > MAX_HEADERS {
        return;
    }
    let headers: HeaderMap = data.split(|byte| *byte == b'\n').filter_map(header).collect();
    let propagators = Propagators::default();
    let read = propagators.extract(&headers);
    let sent = propagators.headers(&read);
    match sent.get("traceparent") {
        Some(parent) => {
            let parent = text(parent);
            assert!(is_parent(parent), "{parent:?} is a parent by the standard");
            let given: Vec<_> = headers.get_all("traceparent").iter().collect();
            assert_eq!(given.len(), 1, "two parents contradict each other");
            assert_eq!(parent[2..52], text(given[0]).trim()[2..52], "the trace goes on that was begun");
        }
        None => assert!(sent.is_empty(), "what has no parent says nothing"),
    }
    if let Some(state) = sent.get("tracestate").map(text) {
        assert!(is_state(state), "{state:?} is a state by the standard");
    }
    assert!(!sent.contains_key("baggage"), "baggage stays here");
    assert_eq!(propagators.headers(&propagators.extract(&sent)), sent, "what is sent is understood");
    let baggage = propagation::baggage(&read);
    assert!(baggage.len() <= 64, "{} members", baggage.len());
    for member in baggage {
        let value = member.value.as_str();
        assert!(member.key.as_str().len() <= 100 && value.len() <= 256, "{} bytes for {}", value.len(), member.key);
    }
}

fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = HeaderName::from_bytes(&line[..colon]).ok()?;
    Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().expect("what is sent is visible ASCII")
}

/// `00-TRACE-SPAN-FLAGS`, with nothing but what is known here.
fn is_parent(text: &str) -> bool {
    let fields: Vec<&str> = text.split('-').collect();
    let hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let some = |text: &str, length| text.len() == length && hex(text) && text.bytes().any(|byte| byte != b'0');
    matches!(fields[..], ["00", trace, span, "00" | "01"] if some(trace, 32) && some(span, 16))
}

fn is_state(text: &str) -> bool {
    let members: Vec<_> = text.split(',').map(|member| member.split_once('=')).collect();
    let keys: std::collections::BTreeSet<_> = members.iter().flatten().map(|(key, _)| key).collect();
    let is_key = |key: &str| {
        let sign = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
        (1..=256).contains(&key.len()) && key.bytes().all(sign) && key.matches('@').count() <= 1
    };
    let is_value = |value: &str| {
        let sign = |byte: u8| matches!(byte, b' '..=b'~') && !b",=".contains(&byte);
        (1..=256).contains(&value.len()) && value.bytes().all(sign) && !value.ends_with(' ')
    };
    let sound = members.iter().all(|member| member.is_some_and(|(key, value)| is_key(key) && is_value(value)));
    sound && keys.len() == members.len() && members.len() <= 32 && text.len() <= 512
}

/// `Accept` headers, a line each.
pub fn accept(data: &[u8]) {
    if data.len() > MAX_HEADERS {
        return;
    }
    let values: Vec<_> =
        data.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    let headers = values.iter().map(|value| (http::header::ACCEPT, value.clone())).collect();
    let accept = Accept::of(&headers);
    let readable: Vec<_> = values.iter().filter_map(|value| value.to_str().ok()).collect();
    let expected = Wanted::of(&readable.join(", "));
    for can_stream in [true, false] {
        match accept.choose(can_stream) {
            Ok(form) => assert_eq!(Some(form), expected.form(can_stream), "{expected:?}"),
            Err(problem) => {
                assert_eq!(None, expected.form(can_stream), "{expected:?}");
                assert_eq!(problem.status.as_u16(), 406);
                assert!(problem.message.len() <= 2048, "{} bytes are told", problem.message.len());
            }
        }
    }
    assert_eq!(accept.takes_json(), expected.form(false).is_some());
    assert_eq!(accept.tells_end(), expected.tells_end);
}

/// The same by a slow reader of its own, which takes the header apart sign by sign.
#[derive(Debug)]
struct Wanted {
    json: u32,
    stream: Option<u32>,
    tells_end: bool,
}

impl Wanted {
    fn of(header: &str) -> Self {
        // What is too long is read up to the last comma of what is read.
        let header = if header.len() > 1024 { &header[..header[..1024].rfind(',').unwrap_or(1024)] } else { header };
        let ranges: Vec<Vec<String>> = apart(header, ',').iter().map(|range| apart(range, ';')).collect();
        let ranges: Vec<_> = ranges.into_iter().filter(|range| !range[0].trim().is_empty()).take(64).collect();
        let weight = |name: &str| {
            let named = ranges.iter().filter(|range| range[0].trim().eq_ignore_ascii_case(name));
            named
                .map(|range| parameters(range).filter(|(key, _)| key == "q").map(|(_, it)| thousandths(&it)).last())
                .map(|weight| weight.unwrap_or(1000))
                .max()
        };
        let says_nothing = header.chars().all(|sign| matches!(sign, ' ' | '\t' | ','));
        let json = weight("application/json").or_else(|| weight("application/*")).or_else(|| weight("*/*"));
        let tells_end = ranges.iter().filter(|range| range[0].trim().eq_ignore_ascii_case("text/event-stream"));
        let done = |range: &Vec<String>| parameters(range).filter(|(key, _)| key == "done").map(|(_, it)| it).last();
        Self {
            json: json.unwrap_or(if says_nothing { 1000 } else { 0 }),
            stream: weight("text/event-stream"),
            tells_end: tells_end.filter_map(done).any(|value| value.eq_ignore_ascii_case("true")),
        }
    }

    fn form(&self, can_stream: bool) -> Option<Form> {
        match (self.stream, self.json) {
            (Some(stream), json) if can_stream && stream > 0 && stream >= json => Some(Form::Stream),
            (_, json) if json > 0 => Some(Form::Json),
            _ => None,
        }
    }
}

/// A text at the signs that stand in no quotes.
fn apart(text: &str, separator: char) -> Vec<String> {
    let (mut parts, mut quoted, mut escaped) = (vec![String::new()], false, false);
    for sign in text.chars() {
        if sign == separator && !quoted {
            parts.push(String::new());
            continue;
        }
        parts.last_mut().expect("there is one").push(sign);
        match sign {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
    }
    parts
}

fn parameters(range: &[String]) -> impl Iterator<Item = (String, String)> {
    range[1..]
        .iter()
        .filter_map(|parameter| parameter.trim().split_once('='))
        .map(|(key, value)| (key.trim().to_ascii_lowercase(), value.trim().trim_matches('"').to_owned()))
}

fn thousandths(text: &str) -> u32 {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let is_weight = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && text.bytes().any(|byte| byte.is_ascii_digit() || byte == b'.')
        && !rest.contains('.')
        && !(whole.is_empty() && rest.is_empty())
        && whole.bytes().all(|byte| byte == b'0');
    if !is_weight {
        return 1000;
    }
    format!("{rest:0<3}")[..3].parse().expect("three digits")
}

//! Which form of a reply a client takes: the `Accept` header as HTTP reads it, with the original's preference for a
//! stream that is asked for by name. Pure.

use http::{HeaderMap, header};

use crate::server::problem::Problem;

/// How much of the header is read, in bytes. Browsers send a fifth of it; a range that is cut off is not read.
const MAX_HEADER: usize = 1024;
/// How many ranges of the header are read.
const MAX_RANGES: usize = 64;

const EVENTS: &str = "text/event-stream";
const JSON: &str = "application/json";

/// What a client takes. No `Accept`, or an empty one: anything, and so JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept {
    json: Weight,
    /// None: not named. A wildcard alone does not ask for a stream.
    stream: Option<Weight>,
    tells_end: bool,
    header: String,
}

/// The form of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Json,
    Stream,
}

/// A quality value in thousandths. Zero: refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Weight(u16);

impl Accept {
    /// Several headers count as one.
    pub fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let header = within(values.collect::<Vec<_>>().join(", "));
        let ranges: Vec<_> = split(&header, b',').filter_map(Range::parse).take(MAX_RANGES).collect();
        // The more specific range counts, and of several that are the same the one that weighs most.
        let weight = |name: &str| ranges.iter().filter(|it| it.is(name)).map(|it| it.weight).max();
        let wildcard = || weight("application/*").or_else(|| weight("*/*"));
        let json = match weight(JSON).or_else(wildcard) {
            Some(weight) => weight,
            None if header.trim_matches([' ', '\t', ',']).is_empty() => Weight::FULL,
            None => Weight::REFUSED,
        };
        let tells_end = ranges.iter().any(|range| range.is(EVENTS) && range.tells_end);
        let stream = weight(EVENTS);
        Self { json, stream, tells_end, header }
    }

    /// The form that the client likes best of those that there are. A stream that weighs as much as JSON comes first.
    ///
    /// # Errors
    /// If it takes none of them.
    pub fn choose(&self, can_stream: bool) -> Result<Form, Problem> {
        match self.stream.filter(|weight| can_stream && *weight > Weight::REFUSED) {
            Some(stream) if stream >= self.json => Ok(Form::Stream),
            _ if self.takes_json() => Ok(Form::Json),
            _ => {
                let supported = if can_stream { "text/event-stream, application/json" } else { JSON };
                Err(Problem::not_acceptable(&self.header, supported))
            }
        }
    }

    pub fn takes_json(&self) -> bool {
        self.json > Weight::REFUSED
    }

    /// Whether the client asks for an event at the end of a stream: `text/event-stream;done=true`. Others have a comment,
    /// which they do not see.
    pub fn tells_end(&self) -> bool {
        self.tells_end
    }
}

/// One media range.
struct Range<'a> {
    name: &'a str,
    weight: Weight,
    tells_end: bool,
}

impl<'a> Range<'a> {
    /// None: there is nothing between the commas.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = split(text, b';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let mut range = Self { name, weight: Weight::FULL, tells_end: false };
        for (key, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
            let (key, value) = (key.trim(), value.trim().trim_matches('"'));
            if key.eq_ignore_ascii_case("q") {
                range.weight = Weight::parse(value);
            } else if key.eq_ignore_ascii_case("done") {
                range.tells_end = value.eq_ignore_ascii_case("true");
            }
        }
        Some(range)
    }

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

impl Weight {
    const FULL: Self = Self(1000);
    const REFUSED: Self = Self(0);

    /// `0.5`, and `.5` as old clients write it. What is no weight is as good as not there.
    fn parse(text: &str) -> Self {
        let (whole, thousandths) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && thousandths.is_empty()) || !digits(whole) || !digits(thousandths) {
            return Self::FULL;
        }
        if whole.bytes().any(|byte| byte != b'0') {
            return Self::FULL;
        }
        let three = thousandths.bytes().chain([b'0'; 3]).take(3);
        Self(three.fold(0, |weight, digit| weight * 10 + u16::from(digit - b'0')))
    }
}

/// The header as far as it is read.
fn within(mut header: String) -> String {
    if header.len() > MAX_HEADER {
        // Only visible ASCII got here, so that every byte is a character.
        let end = header[..MAX_HEADER].rfind(',').unwrap_or(MAX_HEADER);
        header.truncate(end);
    }
    header
}

/// The parts between separators that do not stand in quotes.
fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = text.bytes().position(|byte| {
            let ends = byte == separator && !quoted;
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = quoted,
                b'"' => quoted = !quoted,
                _ => {}
            }
            ends
        });
        rest = end.map(|end| &text[end + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(values: &[&str]) -> Accept {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT, value.parse().expect("a header value"));
        }
        Accept::of(&headers)
    }

    /// `expected` is the form where the flow can stream, and where it cannot; 406 is none.
    #[track_caller]
    fn check(value: &str, expected: [Option<Form>; 2]) {
        let accept = accept(&[value]);
        let found = [accept.choose(true).ok(), accept.choose(false).ok()];
        assert_eq!(found, expected, "{value:?}");
    }

    const STREAM: Option<Form> = Some(Form::Stream);
    const JSON: Option<Form> = Some(Form::Json);
    const REFUSED: Option<Form> = None;

    #[test]
    fn a_client_gets_what_it_takes() {
        for (value, expected) in [
            ("", [JSON, JSON]),
            (" , ,", [JSON, JSON]),
            ("*/*", [JSON, JSON]),
            ("application/json", [JSON, JSON]),
            ("application/*", [JSON, JSON]),
            ("text/html, application/xhtml+xml, */*;q=0.8", [JSON, JSON]),
            ("text/html, image/gif, *; q=.2, */*; q=.2", [JSON, JSON]),
            ("application/json; charset=utf-8", [JSON, JSON]),
            ("application/json;profile=\"a, text/event-stream;q=1\"", [JSON, JSON]),
            // Asked for by name, in either order.
            ("text/event-stream", [STREAM, REFUSED]),
            ("text/event-stream, application/json", [STREAM, JSON]),
            ("application/json, text/event-stream", [STREAM, JSON]),
            ("text/event-stream, */*", [STREAM, JSON]),
            ("text/event-stream;done=true, */*", [STREAM, JSON]),
            // In any case, with weights: what the original refuses.
            ("TEXT/Event-Stream", [STREAM, REFUSED]),
            ("APPLICATION/JSON", [JSON, JSON]),
            ("text/event-stream;q=0.9", [STREAM, REFUSED]),
            ("application/json;q=0.001", [JSON, JSON]),
            // What weighs more wins.
            ("text/event-stream;q=0.5, application/json", [JSON, JSON]),
            ("text/event-stream;Q=0.5 , application/json; q=0.4", [STREAM, JSON]),
            ("text/event-stream; q=0.5, */*; q=0.5", [STREAM, JSON]),
            ("text/event-stream;q=0.5, text/event-stream, */*", [STREAM, JSON]),
            // Weight zero refuses, and the more specific range counts.
            ("text/event-stream;q=0, */*", [JSON, JSON]),
            ("text/event-stream;q=0.000", [REFUSED, REFUSED]),
            ("application/json;q=0", [REFUSED, REFUSED]),
            ("application/json;q=0, */*", [REFUSED, REFUSED]),
            ("application/*;q=0, */*", [REFUSED, REFUSED]),
            ("*/*;q=0", [REFUSED, REFUSED]),
            ("*/*;q=0, application/json", [JSON, JSON]),
            ("*/*;q=0, text/event-stream", [STREAM, REFUSED]),
            // A weight that is none is as good as not there.
            ("application/json;q=high", [JSON, JSON]),
            ("application/json;q=", [JSON, JSON]),
            ("application/json;q=-1", [JSON, JSON]),
            ("text/event-stream;q=7, application/json", [STREAM, JSON]),
            // Nothing of ours.
            ("text/html", [REFUSED, REFUSED]),
            ("text/*", [REFUSED, REFUSED]),
            ("json", [REFUSED, REFUSED]),
            ("*", [REFUSED, REFUSED]),
        ] {
            check(value, expected);
        }
    }

    #[test]
    fn several_headers_are_one() {
        let both = accept(&["application/json;q=0.5", "text/html", "text/event-stream"]);
        assert_eq!((both.choose(true).ok(), both.choose(false).ok()), (STREAM, JSON));
    }

    #[test]
    fn a_refusal_says_what_there_is() {
        let accept = accept(&["text/html"]);
        let message = |can_stream| accept.choose(can_stream).map_err(|problem| problem.message).unwrap_err();
        assert_eq!(
            [message(true), message(false)],
            [
                "Media type text/html in Accept header is not acceptable. Supported media type(s) - text/event-stream, \
                 application/json",
                "Media type text/html in Accept header is not acceptable. Supported media type(s) - application/json",
            ]
        );
    }

    #[test]
    fn an_event_at_the_end_has_to_be_asked_for() {
        let tells_end = |value: &str| accept(&[value]).tells_end();
        assert!(tells_end("text/event-stream;done=true") && tells_end("a/b, Text/Event-Stream; q=0.5; Done=\"True\""));
        for value in ["", "text/event-stream", "text/event-stream;done=false", "*/*;done=true"] {
            assert!(!tells_end(value), "{value:?}");
        }
    }

    #[test]
    fn only_the_beginning_of_a_long_header_is_read() {
        let many = format!("{}application/json", "a/b,".repeat(MAX_RANGES));
        check(&many, [REFUSED, REFUSED]);
        let long = format!("application/json, text/event-stream;x={}, text/event-stream", "y".repeat(MAX_HEADER));
        check(&long, [JSON, JSON]);
        check(&"x".repeat(100_000), [REFUSED, REFUSED]);
        assert!(accept(&[&"text/html,".repeat(1000)]).header.len() <= MAX_HEADER);
        check(&format!("a/b;c=\"{}", "\\\"".repeat(400)), [REFUSED, REFUSED]);
    }

    proptest::proptest! {
        #[test]
        fn no_header_is_misread(
            value in "([a-z*/]{0,20}|text/event-stream|application/json|[*]/[*])([;,\"\\\\= q01.]{0,6}|;q=[0-9.]{0,6}|[ -~]{0,9}){0,9}",
        ) {
            let accept = accept(&[&value]);
            proptest::prop_assert_ne!(accept.choose(false).ok(), STREAM);
            if accept.choose(true).ok() == STREAM {
                proptest::prop_assert!(value.to_ascii_lowercase().contains(EVENTS));
            }
            proptest::prop_assert_eq!(accept.choose(false).is_ok(), accept.takes_json());
        }
    }
}

//! What feedback becomes, where telemetry goes, and what is answered there.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use opentelemetry_sdk::Resource;
use serde::Deserialize;
use serde_json::value::RawValue;
use tonic::{Code, Status};
use weir::server::feedback::{attributes, evaluation};
use weir::telemetry::azure_monitor::answer::Answer;
use weir::telemetry::azure_monitor::connection::Connection;
use weir::telemetry::azure_monitor::{self, items};
use weir::telemetry::feedback::{Feedback, Record};
use weir::telemetry::otlp;
use weir::telemetry::outbox::parcel::{Outcome, Parcel, Signal};
use weir::telemetry::propagation::Propagators;

use super::{MAX_TEXT, text};

/// Longest feedback that may be set.
const MAX_FEEDBACK: usize = MAX_TEXT;

/// The body of a feedback, flattened and whole; if it has a line break, what stands before it is the caller's baggage.
pub fn feedback(data: &[u8]) {
    if data.len() > MAX_FEEDBACK {
        return;
    }
    let body = String::from_utf8_lossy(data);
    let (baggage, text) = body.split_once('\n').unwrap_or(("", &body));
    let headers = HeaderValue::from_str(baggage).map(|value| (header::HeaderName::from_static("baggage"), value));
    let parent = Propagators::default().extract(&headers.into_iter().collect());
    let json: Option<serde_json::Value> = serde_json::from_str(text).ok();
    for flatten in [false, true] {
        let said = attributes::of(text, json.clone(), flatten);
        if !flatten {
            let whole: String = said.iter().map(|it| it.value.as_str().into_owned()).collect();
            assert_eq!(whole, text, "what was said is told whole");
        }
        assert!(said.len() <= 66 + MAX_FEEDBACK / 8000, "{} attributes", said.len());
        for attribute in &said {
            let (key, size) = (attribute.key.as_str(), attribute.value.as_str().len());
            assert!(key.len() <= 100 && !key.chars().any(char::is_control), "{key:?}");
            assert!(size <= 8000, "{size} bytes for {key}");
        }
        let evaluation = evaluation::recognised(text, json.as_ref());
        let record = Record::new(&parent, Feedback { attributes: said, evaluation, idempotency_key: None });
        let kept = Record::decode(&record.encode()).expect("the journal gives back what it was given");
        assert_eq!(kept, record);
        told(&kept);
    }
}

/// The span of a feedback as each destination is told it.
fn told(record: &Record) {
    let span = record.span().expect("the record is of this host");
    let resource = Resource::builder_empty().build();
    let parcels = azure_monitor::Encoder::new(&resource, None, false).spans(std::slice::from_ref(&span));
    for parcel in &parcels {
        let items = items(parcel).expect("what is sent is a list of items");
        assert_eq!(items.len(), usize::try_from(parcel.items).expect("a few"));
        items.iter().for_each(|item| within_limits(item));
    }
    let parcels = otlp::Encoder::new(&resource).spans(&[span]);
    assert_eq!(parcels.iter().map(|parcel| parcel.items).sum::<u32>(), 1, "one span is one item");
}

/// What Application Insights would cut or refuse.
fn within_limits(item: &RawValue) {
    #[derive(Deserialize)]
    struct Item<'a> {
        #[serde(borrow)]
        data: Data<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Data<'a> {
        #[serde(borrow)]
        base_data: Base<'a>,
    }
    #[derive(Deserialize)]
    struct Base<'a> {
        #[serde(borrow, default)]
        properties: std::collections::BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    }
    let item: Item<'_> = serde_json::from_str(item.get()).expect("an item is JSON");
    for (key, value) in item.data.base_data.properties {
        let (key_units, units) = (key.encode_utf16().count(), value.encode_utf16().count());
        assert!(key_units <= 150 && units <= 256 * 1024, "{units} units for {key}");
        let longest = if key.starts_with("gen_ai.") { 256 * 1024 } else { 8192 };
        assert!(units <= longest, "{units} units for {key}");
    }
}

/// A connection string of Application Insights: by itself, behind a key, and beside a key alone.
pub fn connection_string(data: &[u8]) {
    let Some(text) = text(data).filter(|text| text.len() <= 16 * 1024) else { return };
    let behind = format!("InstrumentationKey={KEY};{text}");
    for string in [text, &behind] {
        match Connection::parse(string) {
            Ok(connection) => {
                let (shown, debug) = (connection.shown(), format!("{connection:?}"));
                assert!(shown.starts_with("http://") || shown.starts_with("https://"), "{shown}");
                assert!(text.contains(KEY) || !debug.contains(KEY), "{debug}");
                let alone = Connection::of_key(KEY, Some(&connection)).expect("a key");
                assert_eq!(alone.shown(), shown, "a key alone goes where the string beside it says");
            }
            Err(problems) => assert!(problems.len() <= 1024 + 64 * text.len(), "{} bytes are told", problems.len()),
        }
    }
    if let Ok(connection) = Connection::of_key(text, None) {
        assert_eq!(connection.shown(), "https://dc.services.visualstudio.com", "a key names no endpoint");
    }
}

const KEY: &str = "00000000-0000-0000-0000-0000000000aa";

/// What a destination answers. The first byte chooses the status, the second the pause, the third the kind of body; what
/// follows is the body.
pub fn answer(data: &[u8]) {
    let Some((&[status, pause, kind], body)) = data.split_first_chunk() else { return };
    if body.len() > MAX_TEXT {
        return;
    }
    let status = STATUSES[usize::from(status) % STATUSES.len()];
    let mut headers = HeaderMap::new();
    let pauses = ["", "0", "7", "-1", "86400", "99999999999999999999", "soon", "Wed, 25 Nov 2026 22:01:30 GMT"];
    if let pause @ 1.. = usize::from(pause) % pauses.len() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(pauses[pause]));
    }
    let kinds = ["application/x-protobuf", "application/json", "text/html", "text/plain"];
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kinds[usize::from(kind) % kinds.len()]));
    let status = StatusCode::from_u16(status).expect("a status");
    for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
        let parcel = Parcel { signal, items: ITEMS, body: Bytes::from_static(b"[0,1,2,3]") };
        let outcome = otlp::answer::http(&parcel, status, &headers, &Bytes::copy_from_slice(body));
        sound(&outcome, status, &parcel);
        let outcome = Answer { status, headers: &headers, body: Some(body) };
        let own = items(&parcel).expect("a list");
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_644_000);
        sound(&outcome.outcome(signal, &own, now), status, &parcel);
    }
    let said = String::from_utf8_lossy(body);
    let code = Code::from(i32::from(pause) % 17);
    let outcome = otlp::answer::grpc(&Status::with_details(code, said, Bytes::copy_from_slice(body)));
    assert!(!matches!(outcome, Outcome::Taken { .. } | Outcome::Partly { .. }), "a failure took nothing: {outcome:?}");
    why(outcome);
}

/// So many items are in what was sent.
const ITEMS: u32 = 4;

const STATUSES: [u16; 20] =
    [200, 201, 204, 206, 301, 307, 400, 401, 402, 403, 404, 405, 408, 413, 421, 429, 439, 500, 503, 599];

/// Nothing that was taken is sent again, and nothing is lost without being counted.
fn sound(outcome: &Outcome, status: StatusCode, parcel: &Parcel) {
    match outcome {
        Outcome::Taken { rejected, .. } => assert!(*rejected <= ITEMS, "{outcome:?}"),
        Outcome::Partly { again, rejected, .. } => {
            let again: Vec<&RawValue> = again.iter().flat_map(|parcel| items(parcel).expect("a list")).collect();
            assert!(!again.is_empty() && again.len() < 4, "{outcome:?}");
            assert!(again.len() + usize::try_from(*rejected).expect("a few") <= 4, "{outcome:?}");
            let own = items(parcel).expect("a list");
            let places = again.iter().map(|item| own.iter().position(|it| it.get() == item.get()));
            assert!(places.clone().all(|place| place.is_some()) && places.is_sorted(), "{outcome:?}");
        }
        Outcome::Refused { .. } => assert!((400..500).contains(&status.as_u16()) || status.is_server_error()),
        Outcome::Later { .. } | Outcome::TooLarge { .. } => {}
    }
    why(outcome.clone());
}

fn why(mut outcome: Outcome) {
    let why = outcome.why_mut();
    assert!(why.len() <= 2048, "{} bytes are told", why.len());
}

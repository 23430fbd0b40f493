//! What an answer of the ingestion service means for what was sent. Pure.
//!
//! Nothing is given up that may be taken later: a daily quota that is used up, a missing right and an address that is not
//! the resource's are all put right by people, and until then what was sent waits.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::parcels;
use crate::retry_after;
use crate::telemetry::outbox::parcel::{Outcome, Parcel, Signal};

/// Pause after the daily quota is used up, unless the service names one: it is there again at an hour that only the
/// resource's owner knows.
const QUOTA_PAUSE: Duration = Duration::from_mins(10);

/// Longest pause that is kept. A clock that is wrong by years must not stop the sending.
const MAX_PAUSE: Duration = Duration::from_hours(1);

/// What the service says of an item that its sampling leaves out.
const SAMPLED_OUT: &str = "telemetry sampled out.";

/// Items, or whole requests, that are worth another attempt.
const RETRYABLE: [u16; 8] = [401, 403, 408, 429, 500, 502, 503, 504];

/// The quota of the day is used up, in the current and an older way to say so.
const QUOTA: [u16; 2] = [402, 439];

/// Longest message of the service that is told on.
const MESSAGE_CHARS: usize = 200;

/// What the service says of each item.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tracked {
    items_received: usize,
    items_accepted: usize,
    #[serde(default)]
    errors: Vec<Fault>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fault {
    index: Option<usize>,
    status_code: Option<u16>,
    message: Option<String>,
}

/// An answer that is not a redirect.
#[derive(Debug)]
pub struct Answer<'a> {
    pub status: StatusCode,
    pub headers: &'a HeaderMap,
    /// None: too long, or it broke off.
    pub body: Option<&'a [u8]>,
}

impl Answer<'_> {
    /// What became of these items.
    pub fn outcome(&self, signal: Signal, items: &[&RawValue], now: SystemTime) -> Outcome {
        let after = self.pause(now);
        let tracked: Option<Tracked> = self.body.and_then(|body| serde_json::from_slice(body).ok());
        match (self.status.as_u16(), tracked) {
            (200 | 206, Some(tracked)) => tracked.outcome(signal, items, after),
            // A proxy or portal in between says that all is well.
            (200..=299, _) => Outcome::Later { after, why: format!("{}, but not by the service", self.status) },
            (400, Some(tracked)) if tracked.items_accepted > 0 || tracked.errors.len() >= items.len() => {
                tracked.outcome(signal, items, after)
            }
            // One of them spoils it for the others.
            (400, _) if items.len() > 1 => Outcome::TooLarge { why: self.why() },
            (413, _) => Outcome::TooLarge { why: self.why() },
            (status, _) if QUOTA.contains(&status) => {
                let why = format!("{}: the daily quota of the resource is used up", self.status);
                Outcome::Later { after: after.or(Some(QUOTA_PAUSE)), why }
            }
            // This endpoint is not the resource's: what waits goes to the one that is set next.
            (404 | 421, _) => Outcome::Later { after, why: self.why() },
            (status, _) if RETRYABLE.contains(&status) || !(400..500).contains(&status) => {
                Outcome::Later { after, why: self.why() }
            }
            _ => Outcome::Refused { why: self.why() },
        }
    }

    /// The status, and the first thing that the service says.
    fn why(&self) -> String {
        let tracked: Option<Tracked> = self.body.and_then(|body| serde_json::from_slice(body).ok());
        let message = tracked.and_then(|it| it.errors.into_iter().find_map(|fault| fault.message));
        let help = match self.status.as_u16() {
            401 => "; the resource may want tokens of Entra ID: see APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
            403 => "; the host's identity may lack the role Monitoring Metrics Publisher",
            404 => "; the resource may have an endpoint of its own: see its connection string",
            _ => "",
        };
        let message = message.map(|message| format!(": {}", short(&message))).unwrap_or_default();
        format!("{}{message}{help}", self.status)
    }

    /// `Retry-After`, in seconds or as a date.
    fn pause(&self, now: SystemTime) -> Option<Duration> {
        Some(retry_after::asked(self.headers, now)?.min(MAX_PAUSE))
    }
}

impl Tracked {
    fn outcome(self, signal: Signal, items: &[&RawValue], after: Option<Duration>) -> Outcome {
        let Self { items_received, items_accepted, errors } = self;
        let why = errors.iter().filter(|fault| !fault.is_sampled_out()).find_map(Fault::why).unwrap_or_default();
        let mut faults: Vec<_> = errors.iter().filter(|fault| fault.index.is_some_and(|at| at < items.len())).collect();
        faults.sort_by_key(|fault| fault.index);
        faults.dedup_by_key(|fault| fault.index);
        let again: Vec<_> =
            faults.iter().filter(|it| it.may_pass()).filter_map(|it| items.get(it.index?).copied()).collect();
        let of_service = items_received.saturating_sub(items_accepted).min(items.len());
        let sampled_out = faults.iter().filter(|fault| fault.is_sampled_out()).count();
        let rejected = of_service.max(faults.len()) - again.len() - sampled_out;
        let rejected = u32::try_from(rejected).unwrap_or(u32::MAX);
        if again.is_empty() {
            return Outcome::Taken { rejected, why };
        }
        if again.len() == items.len() {
            return Outcome::Later { after, why };
        }
        Outcome::Partly { again: vec![parcels::of(signal, again)], rejected, after, why }
    }
}

impl Fault {
    /// The resource's own setting leaves it out, which is as good as taken.
    fn is_sampled_out(&self) -> bool {
        self.message.as_ref().is_some_and(|it| it.eq_ignore_ascii_case(SAMPLED_OUT))
    }

    fn may_pass(&self) -> bool {
        !self.is_sampled_out()
            && self.status_code.is_some_and(|status| RETRYABLE.contains(&status) || QUOTA.contains(&status))
    }

    fn why(&self) -> Option<String> {
        let message = short(self.message.as_deref().unwrap_or("no reason given"));
        Some(self.status_code.map_or_else(|| message.to_owned(), |status| format!("{status}: {message}")))
    }
}

fn short(message: &str) -> &str {
    message.char_indices().nth(MESSAGE_CHARS).map_or(message, |(end, _)| &message[..end])
}

/// A parcel that cannot be read: it is nobody's.
pub(super) fn unreadable(parcel: &Parcel) -> Outcome {
    Outcome::Refused { why: format!("a parcel of {} items is no JSON", parcel.items) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, retry_after: Option<&str>, body: &str, items: &[&str]) -> String {
        let texts: Vec<_> = items.iter().map(|item| RawValue::from_string((*item).to_owned()).unwrap()).collect();
        let items: Vec<_> = texts.iter().map(|item| &**item).collect();
        let mut headers = HeaderMap::new();
        retry_after.into_iter().for_each(|text| drop(headers.insert(http::header::RETRY_AFTER, text.parse().unwrap())));
        let status = StatusCode::from_u16(status).unwrap();
        let now = httpdate::parse_http_date("Wed, 25 Nov 2026 22:00:00 GMT").unwrap();
        let answer = Answer { status, headers: &headers, body: Some(body.as_bytes()) };
        let pause = |after: Option<Duration>| after.map_or_else(String::new, |it| format!(" after {}s", it.as_secs()));
        match answer.outcome(Signal::Traces, &items, now) {
            Outcome::Taken { rejected: 0, .. } => "taken".to_owned(),
            Outcome::Taken { rejected, why } => format!("taken but {rejected}: {why}"),
            Outcome::Later { after, why } => format!("later{}: {why}", pause(after)),
            Outcome::Partly { again, rejected, after, why } => {
                let again: Vec<_> = again.iter().map(|it| String::from_utf8_lossy(&it.body).into_owned()).collect();
                format!("again {again:?} but {rejected}{}: {why}", pause(after))
            }
            Outcome::TooLarge { why } => format!("halve: {why}"),
            Outcome::Refused { why } => format!("refused: {why}"),
        }
    }

    fn tracked(received: usize, accepted: usize, errors: &[(usize, u16, &str)]) -> String {
        let errors: Vec<_> = errors
            .iter()
            .map(|(index, status, message)| serde_json::json!({"index": index, "statusCode": status, "message": message}))
            .collect();
        serde_json::json!({"itemsReceived": received, "itemsAccepted": accepted, "errors": errors}).to_string()
    }

    #[test]
    fn each_item_is_judged_by_itself() {
        let four = &["0", "1", "2", "3"];
        let all = |status| [0, 1, 2, 3].map(|at| (at, status, "busy"));
        for (received, accepted, errors, expected) in [
            (4, 4, &[][..], "taken"),
            (4, 2, &[(1, 500, "busy"), (3, 400, "bad")], r#"again ["[1]"] but 1 after 7s: 500: busy"#),
            (4, 2, &[(3, 429, "slow"), (1, 402, "quota")], r#"again ["[1,3]"] but 0 after 7s: 429: slow"#),
            (
                4,
                2,
                &[(0, 500, "Telemetry sampled out."), (1, 503, "busy")],
                r#"again ["[1]"] but 0 after 7s: 503: busy"#,
            ),
            (4, 3, &[(0, 500, "telemetry sampled out.")], "taken"),
            (4, 3, &[(2, 400, "bad")], "taken but 1: 400: bad"),
            (4, 3, &[(9, 500, "nobody's")], "taken but 1: 500: nobody's"),
            (4, 3, &[(2, 500, "busy"), (2, 500, "busy")], r#"again ["[2]"] but 0 after 7s: 500: busy"#),
            (4, 1, &[], "taken but 3: "),
            (4, 0, &all(503), "later after 7s: 503: busy"),
            (4, 0, &all(400), "taken but 4: 400: busy"),
        ] {
            let body = tracked(received, accepted, errors);
            for status in [200, 206] {
                assert_eq!(check(status, Some("7"), &body, four), expected, "{body}");
            }
        }
    }

    #[test]
    fn a_whole_answer_is_taken_kept_halved_or_refused() {
        let one_bad = tracked(2, 0, &[(0, 400, "bad")]);
        let quota = ": the daily quota of the resource is used up";
        for (status, retry_after, body, expected) in [
            (200, None, "<html>welcome</html>", "later: 200 OK, but not by the service"),
            (200, None, "", "later: 200 OK, but not by the service"),
            (204, None, "", "later: 204 No Content, but not by the service"),
            (206, None, "{}", "later: 206 Partial Content, but not by the service"),
            (302, None, "", "later: 302 Found"),
            (400, None, &*one_bad, "halve: 400 Bad Request: bad"),
            (400, None, "", "halve: 400 Bad Request"),
            (
                401,
                None,
                "",
                "later: 401 Unauthorized; the resource may want tokens of Entra ID: see APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
            ),
            (402, None, "", &*format!("later after 600s: 402 Payment Required{quota}")),
            (402, Some("5"), "", &*format!("later after 5s: 402 Payment Required{quota}")),
            (403, None, "", "later: 403 Forbidden; the host's identity may lack the role Monitoring Metrics Publisher"),
            (
                404,
                None,
                "",
                "later: 404 Not Found; the resource may have an endpoint of its own: see its connection string",
            ),
            (405, None, "", "refused: 405 Method Not Allowed"),
            (408, None, "", "later: 408 Request Timeout"),
            (413, None, "", "halve: 413 Payload Too Large"),
            (429, Some("30"), "", "later after 30s: 429 Too Many Requests"),
            (429, Some("Wed, 25 Nov 2026 22:01:30 GMT"), "", "later after 90s: 429 Too Many Requests"),
            (429, Some("Wed, 25 Nov 2026 21:00:00 GMT"), "", "later: 429 Too Many Requests"),
            (429, Some("soon"), "", "later: 429 Too Many Requests"),
            (429, Some("999999999"), "", "later after 3600s: 429 Too Many Requests"),
            (439, None, "", &*format!("later after 600s: 439 <unknown status code>{quota}")),
            (500, None, "garbage", "later: 500 Internal Server Error"),
            (503, Some("0"), "", "later: 503 Service Unavailable"),
            (599, None, "", "later: 599 <unknown status code>"),
        ] {
            assert_eq!(check(status, retry_after, body, &["0", "1"]), expected, "{status} {retry_after:?} {body}");
        }
    }

    #[test]
    fn an_item_that_is_refused_alone_is_isolated() {
        assert_eq!(check(400, None, "", &["0"]), "refused: 400 Bad Request");
        let key = tracked(1, 0, &[(0, 400, "Invalid instrumentation key")]);
        assert_eq!(check(400, None, &key, &["0"]), "taken but 1: 400: Invalid instrumentation key");
    }

    #[test]
    fn a_message_is_told_on_for_a_while() {
        let long = tracked(1, 0, &[(0, 400, &"ü".repeat(5000))]);
        assert_eq!(check(400, None, &long, &["0"]), format!("taken but 1: 400: {}", "ü".repeat(200)));
    }
}

//! Spans as items: a request that was served, or a dependency; each of its events beside it. Pure.
//!
//! | span | item |
//! | --- | --- |
//! | SERVER, CONSUMER | request |
//! | INTERNAL | dependency `InProc`, or `GenAI \| PROVIDER` |
//! | CLIENT, PRODUCER | dependency `GenAI \| PROVIDER`, `HTTP`, or `N/A` |
//! | event `exception` | exception |
//! | event `gen_ai.evaluation.result` | custom event, its numbers as measurements |
//! | other event | message |
//!
//! What a field or tag says whole is not said again among the properties; everything else is.

use std::borrow::Cow;
use std::time::Duration;

use opentelemetry::trace::{Event as SpanEvent, Link, SpanId, SpanKind, Status};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

use super::envelope::{
    DATA, Data, Dependency, EVENT_NAME, Envelope, Event, Exception, MESSAGE, Message, NAME, Request, Thrown, URL, VER,
};
use super::tags::{
    AUTHENTICATED_USER, LOCATION_IP, OPERATION_NAME, SESSION, SYNTHETIC_SOURCE, Sender, Tags, USER, USER_AGENT,
};
use super::text::{Properties, cut, cut_cow, measurements, text};
use super::time;
use crate::telemetry::names::{event, semconv};

/// Percentage of all that was kept, as samplers for Application Insights write it.
const SAMPLE_RATE: &str = "_MS.sampleRate";
/// Property with the spans that are linked to.
const LINKS: &str = "_MS.links";
/// Most links: each takes 80 characters of a property.
const MAX_LINKS: usize = 100;

const SESSION_ID: &str = "session.id";
const ENDUSER_ID: &str = "enduser.id";
const ENDUSER_PSEUDO_ID: &str = "enduser.pseudo.id";
/// The provider's older name.
const GEN_AI_SYSTEM: &str = "gen_ai.system";
const URL_QUERY: &str = "url.query";
const SYNTHETIC_TYPE: &str = "user_agent.synthetic.type";
/// Of the user agent of Azure's own availability tests.
const ALWAYS_ON: &str = "AlwaysOn";

/// The span and its events.
pub(super) fn envelopes<'a>(span: &'a SpanData, sender: &'a Sender) -> Vec<Envelope<'a>> {
    let rate = Attributes(&span.attributes).double(SAMPLE_RATE);
    let own = Item::of(span, sender).envelope();
    let events = span.events.iter().map(|event| of_event(event, span, sender));
    [own].into_iter().chain(events).map(|envelope| envelope.sampled(rate)).collect()
}

/// Attributes by their keys; of two with the same the later one counts.
#[derive(Clone, Copy)]
struct Attributes<'a>(&'a [KeyValue]);

impl<'a> Attributes<'a> {
    fn get(self, key: &str) -> Option<&'a Value> {
        self.0.iter().rev().find(|it| it.key.as_str() == key).map(|it| &it.value)
    }

    fn text(self, key: &str) -> Option<Cow<'a, str>> {
        self.get(key).map(text).filter(|text| !text.is_empty())
    }

    fn double(self, key: &str) -> Option<f64> {
        match self.get(key)? {
            Value::F64(number) => Some(*number),
            value => text(value).parse().ok(),
        }
    }
}

/// A span on its way to be an item.
struct Item<'a> {
    span: &'a SpanData,
    attributes: Attributes<'a>,
    tags: Tags<'a>,
    /// Keys of the attributes that a field or tag says whole.
    carried: Vec<&'static str>,
}

impl<'a> Item<'a> {
    fn of(span: &'a SpanData, sender: &'a Sender) -> Self {
        let attributes = Attributes(&span.attributes);
        let mut tags = sender.within(span.span_context.trace_id(), span.parent_span_id);
        let mut carried = vec![SAMPLE_RATE];
        for (tag, key) in [(SESSION, SESSION_ID), (AUTHENTICATED_USER, ENDUSER_ID), (USER, ENDUSER_PSEUDO_ID)] {
            if tags.carry(tag, &span.attributes, key) {
                carried.push(key);
            }
        }
        if is_synthetic(attributes) {
            tags.set(SYNTHETIC_SOURCE, "True");
        }
        Self { span, attributes, tags, carried }
    }

    fn envelope(self) -> Envelope<'a> {
        match self.span.span_kind {
            SpanKind::Server | SpanKind::Consumer => self.request(),
            SpanKind::Internal | SpanKind::Client | SpanKind::Producer => self.dependency(),
        }
    }

    fn request(mut self) -> Envelope<'a> {
        self.carry(LOCATION_IP, semconv::CLIENT_ADDRESS);
        let (mut name, mut url, mut response_code) = (self.name(), None, Cow::Borrowed("0"));
        let mut success = !is_error(&self.span.status);
        if let Some(method) = self.attributes.text(semconv::HTTP_METHOD) {
            self.carry(USER_AGENT, semconv::USER_AGENT);
            url = self.request_url();
            let route = self.attributes.text(semconv::HTTP_ROUTE);
            self.carried.extend(route.is_some().then_some(semconv::HTTP_ROUTE));
            if let Some(path) = route.or_else(|| url.as_deref().map(path_of)) {
                self.carried.push(semconv::HTTP_METHOD);
                name = Cow::Owned(format!("{method} {path}"));
            }
            response_code = self.status();
            let status = response_code.parse().unwrap_or(0_u16);
            success &= status != 0 && !(400..500).contains(&status);
        }
        self.tags.set(OPERATION_NAME, name.clone());
        let data = Request {
            ver: VER,
            id: self.id(),
            name: cut_cow(name, NAME),
            duration: time::duration(took(self.span)),
            response_code,
            success,
            url: url.map(|url| cut_cow(url, URL)),
            properties: self.properties(),
        };
        Envelope::new(self.span.start_time, self.tags, Data::Request(data))
    }

    fn dependency(mut self) -> Envelope<'a> {
        let provider = self.attributes.text(semconv::PROVIDER).or_else(|| self.attributes.text(GEN_AI_SYSTEM));
        let method = self.attributes.text(semconv::HTTP_METHOD);
        let is_inside = self.span.span_kind == SpanKind::Internal;
        let (mut name, mut target, mut data, mut result_code) = (self.name(), None, None, Cow::Borrowed("0"));
        if !is_inside {
            let url = self.attributes.text(semconv::URL_FULL);
            target = self.target(url.as_deref());
            if let Some(method) = &method {
                result_code = self.status();
                self.carry(USER_AGENT, semconv::USER_AGENT);
                // A call of a model keeps the name that its users know it by.
                if let (Some(url), None) = (&url, &provider) {
                    name = Cow::Owned(format!("{method} {}", path_of(url)));
                    self.carried.push(semconv::HTTP_METHOD);
                }
                if url.as_deref().is_some_and(|url| cut(url, DATA).len() == url.len()) {
                    self.carried.push(semconv::URL_FULL);
                }
                data = url;
            }
        }
        // Before HTTP: what is spoken says less than who is spoken to.
        let kind = match &provider {
            Some(provider) => Cow::Owned(format!("GenAI | {provider}")),
            None if is_inside => "InProc".into(),
            None if method.is_some() => "HTTP".into(),
            None => "N/A".into(),
        };
        let target = target.or_else(|| provider.filter(|_| !is_inside));
        self.tags.set(OPERATION_NAME, name.clone());
        let dependency = Dependency {
            ver: VER,
            id: self.id(),
            name: cut_cow(name, NAME),
            duration: time::duration(took(self.span)),
            result_code,
            success: !is_error(&self.span.status),
            kind: cut_cow(kind, NAME),
            target: target.map(|target| cut_cow(target, NAME)),
            data: data.map(|data| cut_cow(data, DATA)),
            properties: self.properties(),
        };
        Envelope::new(self.span.start_time, self.tags, Data::Dependency(dependency))
    }

    fn id(&self) -> String {
        self.span.span_context.span_id().to_string()
    }

    fn name(&self) -> Cow<'a, str> {
        Cow::Borrowed(&self.span.name)
    }

    fn carry(&mut self, tag: &'static str, key: &'static str) {
        if self.tags.carry(tag, self.attributes.0, key) {
            self.carried.push(key);
        }
    }

    /// The HTTP status; `0` if there was none.
    fn status(&mut self) -> Cow<'a, str> {
        match self.attributes.text(semconv::HTTP_STATUS) {
            Some(status) => {
                self.carried.push(semconv::HTTP_STATUS);
                cut_cow(status, NAME)
            }
            None => "0".into(),
        }
    }

    /// The address of a request, whole or put together.
    fn request_url(&mut self) -> Option<Cow<'a, str>> {
        let attributes = self.attributes;
        if let Some(url) = attributes.text(semconv::URL_FULL) {
            self.carried.extend((cut(&url, URL).len() == url.len()).then_some(semconv::URL_FULL));
            return Some(url);
        }
        let (scheme, path) = (attributes.text(semconv::URL_SCHEME)?, attributes.text(semconv::URL_PATH)?);
        let address = attributes.text(semconv::SERVER_ADDRESS)?;
        let port = attributes.text(semconv::SERVER_PORT).map(|port| format!(":{port}")).unwrap_or_default();
        let query = attributes.text(URL_QUERY).map(|query| format!("?{query}")).unwrap_or_default();
        let url = format!("{scheme}://{address}{port}{path}{query}");
        if cut(&url, URL).len() == url.len() {
            let parts = [semconv::URL_SCHEME, semconv::URL_PATH, semconv::SERVER_ADDRESS, semconv::SERVER_PORT];
            self.carried.extend(parts);
            self.carried.push(URL_QUERY);
        }
        Some(Cow::Owned(url))
    }

    /// The host that is called, with its port unless that is the scheme's own.
    fn target(&mut self, url: Option<&str>) -> Option<Cow<'a, str>> {
        let (scheme, authority) = url.map(authority_of).unwrap_or_default();
        let usual = match scheme {
            "http" => "80",
            // What is called without an address to tell is called over TLS.
            _ => "443",
        };
        let Some(address) = self.attributes.text(semconv::SERVER_ADDRESS) else {
            let host = authority.strip_suffix(&format!(":{usual}")).unwrap_or(authority);
            return (!host.is_empty()).then(|| Cow::Owned(host.to_owned()));
        };
        self.carried.push(semconv::SERVER_ADDRESS);
        match self.attributes.text(semconv::SERVER_PORT) {
            Some(port) => {
                self.carried.push(semconv::SERVER_PORT);
                Some(if port == usual { address } else { Cow::Owned(format!("{address}:{port}")) })
            }
            None => Some(address),
        }
    }

    fn properties(&self) -> Properties<'a> {
        let mut properties = Properties::of(self.attributes.0, &self.carried);
        if !self.span.links.is_empty() {
            properties.add(LINKS, links(&self.span.links));
        }
        properties
    }
}

/// An event of a span, below it.
fn of_event<'a>(told: &'a SpanEvent, span: &'a SpanData, sender: &'a Sender) -> Envelope<'a> {
    let context = &span.span_context;
    // An evaluation belongs to what it judges, which is what its feedback is below.
    let parent = match span.parent_span_id {
        judged if told.name == event::EVALUATION && judged != SpanId::INVALID => judged,
        _ => context.span_id(),
    };
    let mut tags = sender.within(context.trace_id(), parent);
    let own = tags.carry(SESSION, &told.attributes, SESSION_ID);
    if !own {
        tags.carry(SESSION, &span.attributes, SESSION_ID);
    }
    let attributes = Attributes(&told.attributes);
    let session = own.then_some(SESSION_ID);
    let properties = |carried: &[&'static str]| {
        let carried: Vec<_> = carried.iter().copied().chain(session).collect();
        Properties::of(&told.attributes, &carried)
    };
    let data = match &*told.name {
        event::EXCEPTION => Data::Exception(Exception {
            ver: VER,
            exceptions: [Thrown::new(
                attributes.text(semconv::EXCEPTION_TYPE),
                attributes.text(semconv::EXCEPTION_MESSAGE),
                attributes.text(semconv::EXCEPTION_STACKTRACE),
            )],
            severity_level: None,
            properties: properties(&[
                semconv::EXCEPTION_TYPE,
                semconv::EXCEPTION_MESSAGE,
                semconv::EXCEPTION_STACKTRACE,
            ]),
        }),
        event::EVALUATION => Data::Event(Event {
            ver: VER,
            name: cut(&told.name, EVENT_NAME).into(),
            properties: properties(&[]),
            measurements: measurements(&told.attributes),
        }),
        name => Data::Message(Message {
            ver: VER,
            message: cut(name, MESSAGE).into(),
            severity_level: None,
            properties: properties(&[]),
        }),
    };
    Envelope::new(told.timestamp, tags, data)
}

fn took(span: &SpanData) -> Duration {
    span.end_time.duration_since(span.start_time).unwrap_or_default()
}

fn is_error(status: &Status) -> bool {
    matches!(status, Status::Error { .. })
}

fn is_synthetic(attributes: Attributes<'_>) -> bool {
    attributes.text(SYNTHETIC_TYPE).is_some_and(|kind| matches!(&*kind, "bot" | "test"))
        || attributes.text(semconv::USER_AGENT).is_some_and(|agent| agent.contains(ALWAYS_ON))
}

/// Scheme and authority, without credentials.
fn authority_of(url: &str) -> (&str, &str) {
    let Some((scheme, rest)) = url.split_once("://") else { return ("", "") };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    (scheme, authority.rsplit_once('@').map_or(authority, |(_, host)| host))
}

fn path_of(url: &str) -> Cow<'static, str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("", |at| &rest[at..]).split(['?', '#']).next().unwrap_or_default();
    if path.is_empty() { "/".into() } else { Cow::Owned(path.to_owned()) }
}

fn links(links: &[Link]) -> String {
    let linked =
        links.iter().filter(|link| link.span_context.span_id() != SpanId::INVALID).take(MAX_LINKS).map(|link| {
            let (trace, span) = (link.span_context.trace_id(), link.span_context.span_id());
            format!("{{\"operation_Id\": \"{trace}\", \"id\": \"{span}\"}}")
        });
    format!("[{}]", linked.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests;

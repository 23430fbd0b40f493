//! The items that Application Insights takes, as they are written: one envelope around data of six kinds.
//!
//! Without the instrumentation key, which is added when they are sent: what waits on disk holds no key, and what waits
//! while the resource is exchanged goes to the new one.

use std::borrow::Cow;
use std::time::SystemTime;

use serde::Serialize;

use super::tags::Tags;
use super::text::{Measurements, Properties};
use super::time;

/// The version of every kind of data.
pub(super) const VER: u8 = 2;

#[derive(Debug, Serialize)]
pub(super) struct Envelope<'a> {
    name: &'static str,
    time: String,
    /// In percent; none: 100.
    #[serde(rename = "sampleRate", skip_serializing_if = "Option::is_none")]
    sample_rate: Option<f64>,
    tags: Tags<'a>,
    data: Data<'a>,
}

impl<'a> Envelope<'a> {
    pub(super) fn new(at: SystemTime, tags: Tags<'a>, data: Data<'a>) -> Self {
        Self { name: data.name(), time: time::point(at), sample_rate: None, tags, data }
    }

    /// Of how many it stands for one: this percentage of all was kept.
    pub(super) fn sampled(mut self, percent: Option<f64>) -> Self {
        self.sample_rate = percent.filter(|it| *it > 0.0 && *it <= 100.0);
        self
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "baseType", content = "baseData")]
pub(super) enum Data<'a> {
    #[serde(rename = "RequestData")]
    Request(Request<'a>),
    #[serde(rename = "RemoteDependencyData")]
    Dependency(Dependency<'a>),
    #[serde(rename = "MessageData")]
    Message(Message<'a>),
    #[serde(rename = "ExceptionData")]
    Exception(Exception<'a>),
    #[serde(rename = "EventData")]
    Event(Event<'a>),
    #[serde(rename = "MetricData")]
    Metric(Metric<'a>),
}

impl Data<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Request(_) => "Microsoft.ApplicationInsights.Request",
            Self::Dependency(_) => "Microsoft.ApplicationInsights.RemoteDependency",
            Self::Message(_) => "Microsoft.ApplicationInsights.Message",
            Self::Exception(_) => "Microsoft.ApplicationInsights.Exception",
            Self::Event(_) => "Microsoft.ApplicationInsights.Event",
            Self::Metric(_) => "Microsoft.ApplicationInsights.Metric",
        }
    }
}

/// A request that was served: table `requests`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request<'a> {
    pub(super) ver: u8,
    pub(super) id: String,
    pub(super) name: Cow<'a, str>,
    pub(super) duration: String,
    pub(super) response_code: Cow<'a, str>,
    pub(super) success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Properties::is_empty")]
    pub(super) properties: Properties<'a>,
}

/// A step of it, inside or at another service: table `dependencies`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dependency<'a> {
    pub(super) ver: u8,
    pub(super) id: String,
    pub(super) name: Cow<'a, str>,
    pub(super) duration: String,
    pub(super) result_code: Cow<'a, str>,
    pub(super) success: bool,
    #[serde(rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Properties::is_empty")]
    pub(super) properties: Properties<'a>,
}

/// A line of a log: table `traces`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message<'a> {
    pub(super) ver: u8,
    pub(super) message: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) severity_level: Option<u8>,
    #[serde(skip_serializing_if = "Properties::is_empty")]
    pub(super) properties: Properties<'a>,
}

/// Table `exceptions`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Exception<'a> {
    pub(super) ver: u8,
    pub(super) exceptions: [Thrown<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) severity_level: Option<u8>,
    #[serde(skip_serializing_if = "Properties::is_empty")]
    pub(super) properties: Properties<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Thrown<'a> {
    pub(super) type_name: Cow<'a, str>,
    pub(super) message: Cow<'a, str>,
    pub(super) has_full_stack: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stack: Option<Cow<'a, str>>,
}

impl<'a> Thrown<'a> {
    /// Of what is known of it, cut to what there may be.
    pub(super) fn new(
        type_name: Option<Cow<'a, str>>,
        message: Option<Cow<'a, str>>,
        stack: Option<Cow<'a, str>>,
    ) -> Self {
        let or_exception =
            |text: Option<Cow<'a, str>>| text.filter(|text| !text.is_empty()).unwrap_or("Exception".into());
        Self {
            type_name: super::text::cut_cow(or_exception(type_name), NAME),
            message: super::text::cut_cow(or_exception(message), MESSAGE),
            has_full_stack: stack.is_some(),
            stack: stack.map(|stack| super::text::cut_cow(stack, MESSAGE)),
        }
    }
}

/// Something of the user's own: table `customEvents`.
#[derive(Debug, Serialize)]
pub(super) struct Event<'a> {
    pub(super) ver: u8,
    pub(super) name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Properties::is_empty")]
    pub(super) properties: Properties<'a>,
    #[serde(skip_serializing_if = "Measurements::is_empty")]
    pub(super) measurements: Measurements<'a>,
}

/// One point of one metric: table `customMetrics`.
#[derive(Debug, Serialize)]
pub(super) struct Metric<'a> {
    pub(super) ver: u8,
    pub(super) metrics: [Point<'a>; 1],
    #[serde(skip_serializing_if = "Properties::is_empty")]
    pub(super) properties: Properties<'a>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Point<'a> {
    pub(super) name: &'a str,
    #[serde(rename = "ns", skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<&'a str>,
    pub(super) value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max: Option<f64>,
}

/// Longest name, type, target or result code.
pub(super) const NAME: usize = 1024;
/// Longest name of a custom event.
pub(super) const EVENT_NAME: usize = 512;
/// Longest name of a metric's namespace.
pub(super) const NAMESPACE: usize = 256;
/// Longest address of a request.
pub(super) const URL: usize = 2048;
/// Longest data of a dependency: the address that was called.
pub(super) const DATA: usize = 8 * 1024;
/// Longest message, and longest stack.
pub(super) const MESSAGE: usize = 32 * 1024;

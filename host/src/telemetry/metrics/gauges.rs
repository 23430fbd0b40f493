//! What the host is doing at this moment. Nobody records it: it is asked of whoever knows when metrics are read, so that
//! it costs requests nothing.
//!
//! Those who know (the sandbox, the listeners, the places of a deployment) know nothing of telemetry; whoever puts the host
//! together gives a function that asks them: see cli/watch.rs.

use std::sync::Arc;
use std::time::Instant;

use opentelemetry::metrics::{AsyncInstrument, Meter};
use opentelemetry::{KeyValue, StringValue};

use super::{conventions, of_flow};
use crate::id::FlowId;
use crate::telemetry::Telemetry;
use crate::telemetry::names::{dimension, metric};

/// The pool of instances.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    /// Components that have an instance.
    pub instances: u64,
    /// Of these, how many wait for the next run of their node.
    pub waiting: u64,
    /// By what they hold.
    pub slots: Vec<(&'static str, Slots)>,
    /// What free slots keep, in bytes.
    pub resident: u64,
}

/// Slots of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Slots {
    pub used: u64,
    pub all: u64,
}

/// How components became machine code, since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Compiled {
    /// It was in the compile cache.
    pub found: u64,
    /// It was not there.
    pub anew: u64,
    /// It was there, and not to be trusted.
    pub refused: u64,
}

/// The requests of one deployment.
#[derive(Clone, Debug)]
pub struct Queue {
    pub flow: FlowId,
    pub endpoint: Option<String>,
    pub deployment: Option<String>,
    pub running: usize,
    pub waiting: usize,
    pub limit: usize,
}

/// The circuit breaker of a connection that a deployment uses.
#[derive(Clone, Debug)]
pub struct Circuit {
    pub flow: FlowId,
    pub endpoint: Option<String>,
    pub deployment: Option<String>,
    pub connection: String,
    /// Each state there is, and whether it is in it.
    pub states: Vec<(&'static str, bool)>,
}

/// The connections of one listener.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    pub listener: Listener,
    pub open: usize,
    pub limit: usize,
    /// Since the start.
    pub refused: u64,
}

/// The memory of the host.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    pub used: u64,
    /// 0: there is none.
    pub limit: u64,
}

/// Which listener it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    Public,
    Admin,
}

impl Telemetry {
    /// Asks `now` how the pool is used, whenever somebody wants to know. None: there is nothing to know any more, as at the
    /// end of the process.
    pub fn watch_pool(&self, now: impl Fn() -> Option<Pool> + Send + Sync + 'static) {
        let (meter, now) = (self.conventions(), Arc::new(now));
        let ask = now.clone();
        up_down(&meter, metric::INSTANCE_ACTIVE, move |told| {
            ask().iter().for_each(|it| told.observe(signed(it.instances), &[]));
        });
        let ask = now.clone();
        up_down(&meter, metric::INSTANCE_WAITING, move |told| {
            ask().iter().for_each(|it| told.observe(signed(it.waiting), &[]));
        });
        let ask = now.clone();
        up_down(&meter, metric::POOL_RESIDENT, move |told| {
            ask().iter().for_each(|it| told.observe(signed(it.resident), &[]));
        });
        up_down(&meter, metric::POOL_SLOT, move |told| {
            for (resource, Slots { used, all }) in now().into_iter().flat_map(|it| it.slots) {
                for (state, count) in [("used", used), ("free", all.saturating_sub(used))] {
                    let labels = [KeyValue::new(dimension::RESOURCE, resource), KeyValue::new(dimension::STATE, state)];
                    told.observe(signed(count), &labels);
                }
            }
        });
    }

    /// The same for compiling.
    pub fn watch_compiler(&self, now: impl Fn() -> Option<Compiled> + Send + Sync + 'static) {
        rising(&self.conventions(), metric::COMPILE_CACHE_LOOKUP, move |told| {
            let Some(Compiled { found, anew, refused }) = now() else { return };
            told.observe(found, &[KeyValue::new(dimension::RESULT, "hit")]);
            told.observe(anew, &[KeyValue::new(dimension::RESULT, "miss")]);
            told.observe(refused, &[KeyValue::new(dimension::RESULT, "refused")]);
        });
    }

    /// The same for the requests of all deployments that are served.
    pub fn watch_queues(&self, now: impl Fn() -> Vec<Queue> + Send + Sync + 'static) {
        let (meter, now) = (self.conventions(), Arc::new(now));
        let numbers: [(&str, Number); 3] = [
            (metric::REQUEST_RUNNING, |queue| queue.running),
            (metric::REQUEST_WAITING, |queue| queue.waiting),
            (metric::REQUEST_LIMIT, |queue| queue.limit),
        ];
        for (name, number) in numbers {
            let now = now.clone();
            up_down(&meter, name, move |told| {
                now().iter().for_each(|queue| told.observe(signed(number(queue) as u64), &queue.labels()));
            });
        }
    }

    /// The same for the circuit breakers of all connections that deployments use.
    pub fn watch_circuits(&self, now: impl Fn() -> Vec<Circuit> + Send + Sync + 'static) {
        up_down(&self.conventions(), metric::UPSTREAM_CIRCUIT, move |told| {
            for Circuit { flow, endpoint, deployment, connection, states } in now() {
                let mut labels = served(&flow, endpoint.as_ref(), deployment.as_ref());
                labels.push(KeyValue::new(dimension::CONNECTION, connection));
                for (state, is) in states {
                    labels.push(KeyValue::new(dimension::STATE, state));
                    told.observe(is.into(), &labels);
                    labels.pop();
                }
            }
        });
    }

    /// The same for the connections of all listeners.
    pub fn watch_connections(&self, now: impl Fn() -> Vec<Connections> + Send + Sync + 'static) {
        let (meter, now) = (self.conventions(), Arc::new(now));
        let ask = now.clone();
        up_down(&meter, metric::CONNECTION_OPEN, move |told| {
            ask().iter().for_each(|it| told.observe(signed(it.open as u64), &[it.listener.label()]));
        });
        let ask = now.clone();
        up_down(&meter, metric::CONNECTION_LIMIT, move |told| {
            ask().iter().for_each(|it| told.observe(signed(it.limit as u64), &[it.listener.label()]));
        });
        rising(&meter, metric::CONNECTION_REFUSED, move |told| {
            now().iter().for_each(|it| told.observe(it.refused, &[it.listener.label()]));
        });
    }

    /// The same for memory.
    pub fn watch_memory(&self, now: impl Fn() -> Option<Memory> + Send + Sync + 'static) {
        let (meter, now) = (self.conventions(), Arc::new(now));
        let ask = now.clone();
        up_down(&meter, metric::MEMORY_USED, move |told| {
            ask().iter().for_each(|it| told.observe(signed(it.used), &[]));
        });
        up_down(&meter, metric::MEMORY_LIMIT, move |told| {
            now().iter().for_each(|it| told.observe(signed(it.limit), &[]));
        });
    }

    /// The same for lines of the log that were not written.
    pub fn watch_log(&self, lost: impl Fn() -> u64 + Send + Sync + 'static) {
        rising(&self.conventions(), metric::LOG_LOST, move |told| told.observe(lost(), &[]));
    }

    /// The same for feedback that waits, for how long the host runs, and which it is.
    pub fn watch_host(&self) {
        let (meter, started) = (self.conventions(), Instant::now());
        let feedback = self.0.exporters.feedback.pending();
        up_down(&meter, metric::FEEDBACK_PENDING, move |told| told.observe(signed(feedback()), &[]));
        let promised = metric::of(metric::UPTIME);
        let uptime = meter.f64_observable_gauge(promised.name).with_unit(promised.unit);
        let uptime = uptime.with_description(promised.meaning);
        uptime.with_callback(move |told| told.observe(started.elapsed().as_secs_f64(), &[])).build();
        let promised = metric::of(metric::BUILD);
        let build = meter.u64_observable_gauge(promised.name).with_description(promised.meaning);
        let version = [KeyValue::new(dimension::VERSION, env!("CARGO_PKG_VERSION"))];
        build.with_callback(move |told| told.observe(1, &version)).build();
    }

    fn conventions(&self) -> Meter {
        conventions(&self.0.exporters.meters)
    }
}

impl Queue {
    fn labels(&self) -> Vec<KeyValue> {
        served(&self.flow, self.endpoint.as_ref(), self.deployment.as_ref())
    }
}

/// What is served, as labels.
fn served(flow: &FlowId, endpoint: Option<&String>, deployment: Option<&String>) -> Vec<KeyValue> {
    let mut labels = vec![of_flow(flow)];
    for (name, value) in [(dimension::ENDPOINT, endpoint), (dimension::DEPLOYMENT, deployment)] {
        labels.extend(value.map(|value| KeyValue::new(name, StringValue::from(value.clone()))));
    }
    labels
}

impl Listener {
    fn label(self) -> KeyValue {
        let name = match self {
            Self::Public => "public",
            Self::Admin => "admin",
        };
        KeyValue::new(dimension::LISTENER, name)
    }
}

/// One of the numbers of a queue.
type Number = fn(&Queue) -> usize;

/// What an instrument is told with.
pub(in crate::telemetry) type Told<'a, T> = &'a dyn AsyncInstrument<T>;

pub(in crate::telemetry) fn up_down(
    meter: &Meter,
    name: &'static str,
    tell: impl Fn(Told<'_, i64>) + Send + Sync + 'static,
) {
    let promised = metric::of(name);
    let instrument = meter.i64_observable_up_down_counter(name).with_unit(promised.unit);
    instrument.with_description(promised.meaning).with_callback(tell).build();
}

pub(in crate::telemetry) fn rising(
    meter: &Meter,
    name: &'static str,
    tell: impl Fn(Told<'_, u64>) + Send + Sync + 'static,
) {
    let promised = metric::of(name);
    let instrument = meter.u64_observable_counter(name).with_unit(promised.unit);
    instrument.with_description(promised.meaning).with_callback(tell).build();
}

pub(in crate::telemetry) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

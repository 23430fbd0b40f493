//! The host's own log on its way to exporters.
//!
//! The log starts first, before it is known who will be told. What is logged meanwhile is kept, as far as it fits, and told
//! when telemetry starts. Only what this host says is told: what carries it away says something as well, and to tell that
//! would never end.

use std::cell::Cell;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use opentelemetry::Context;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer;
use tracing_subscriber::registry::LookupSpan;

use super::Told;
use super::draft::Draft;

/// Lines that are kept until telemetry starts. A start logs a few.
const EARLY: usize = 256;

/// Crates that belong to what this host says. Others, such as hyper, carry telemetry away themselves.
const OURS: [&str; 4] = ["weir", "wasmtime", "wasmtime_wasi", "wasmtime_wasi_http"];

/// The part of the host that carries telemetry away. What it does at each sending is not told, what goes wrong is.
const CARRIES: &str = "weir::telemetry";

thread_local! {
    /// Whether this thread is telling a line: what is logged on the way of it is not told.
    static TELLING: Cell<bool> = const { Cell::new(false) };
}

/// The host's own log, for whoever exports it. Clones are the same.
#[derive(Clone, Default)]
pub struct HostLog(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Unset: telemetry has not started. None: nobody is told.
    exporter: OnceLock<Option<Told>>,
    early: Mutex<Vec<Draft>>,
}

impl HostLog {
    /// The layer of the log that listens.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        Listening(self.clone()).with_filter(filter_fn(is_told))
    }

    /// From now on it is told by this, and so is what was logged before; or by nobody. The first word counts.
    pub(in crate::telemetry) fn export_by(&self, exporter: Option<Told>) {
        let mut early = self.0.early.lock().unwrap_or_else(PoisonError::into_inner);
        if self.0.exporter.set(exporter).is_ok() {
            std::mem::take(&mut *early).into_iter().for_each(|draft| self.tell(draft));
        }
    }

    fn log(&self, event: &Event<'_>) {
        if Context::is_current_telemetry_suppressed() || TELLING.get() {
            return;
        }
        if let Some(None) = self.0.exporter.get() {
            return;
        }
        let draft = Draft::of(event);
        if self.0.exporter.get().is_none() {
            let mut early = self.0.early.lock().unwrap_or_else(PoisonError::into_inner);
            // It may have started meanwhile, but not while the lock is held.
            if self.0.exporter.get().is_none() {
                if early.len() < EARLY {
                    early.push(draft);
                }
                return;
            }
        }
        self.tell(draft);
    }

    fn tell(&self, draft: Draft) {
        if let Some(Some(told)) = self.0.exporter.get() {
            TELLING.set(true);
            let _done = Done;
            draft.tell(told);
        }
    }
}

impl fmt::Debug for HostLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostLog").finish_non_exhaustive()
    }
}

/// Ends the telling, however it ends.
struct Done;

impl Drop for Done {
    fn drop(&mut self) {
        TELLING.set(false);
    }
}

struct Listening(HostLog);

impl<S: Subscriber> Layer<S> for Listening {
    fn on_event(&self, event: &Event<'_>, _: layer::Context<'_, S>) {
        self.0.log(event);
    }
}

fn is_told(line: &Metadata<'_>) -> bool {
    let target = line.target();
    let crate_name = target.split_once("::").map_or(target, |(name, _)| name);
    let carries = target.strip_prefix(CARRIES).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    // The more a level says, the greater it is.
    OURS.contains(&crate_name) && (!carries || *line.level() <= Level::INFO)
}

#[cfg(test)]
mod tests {
    use opentelemetry::logs::AnyValue;
    use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::logs::{InMemoryLogExporter, LogProcessor, SdkLogRecord, SdkLoggerProvider};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::telemetry::Config;

    /// What a log of these lines tells; telemetry starts after `before`.
    fn told(before: impl FnOnce(), after: impl FnOnce()) -> Vec<SdkLogRecord> {
        let exporter = InMemoryLogExporter::default();
        let provider = SdkLoggerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let log = HostLog::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(log.layer()), || {
            before();
            log.export_by(Some(Told::of_host(&provider, &Config::default())));
            after();
        });
        exporter.get_emitted_logs().unwrap().into_iter().map(|it| it.record).collect()
    }

    fn bodies(records: &[SdkLogRecord]) -> Vec<String> {
        let body = |record: &SdkLogRecord| match record.body() {
            Some(AnyValue::String(text)) => text.to_string(),
            other => format!("{other:?}"),
        };
        records.iter().map(body).collect()
    }

    fn span(id: u64) -> Context {
        let span = SpanContext::new(TraceId::from(7), SpanId::from(id), TraceFlags::SAMPLED, false, TraceState::NONE);
        Context::new().with_remote_span_context(span)
    }

    #[test]
    fn a_line_has_the_ids_of_the_span_that_is_attached() {
        let records = told(
            || (),
            || {
                let outer = span(1).attach();
                tracing::info!("outer");
                {
                    let _inner = span(2).attach();
                    tracing::info!("inner");
                }
                drop(outer);
                tracing::info!("none");
            },
        );
        let spans: Vec<_> = records.iter().map(|it| it.trace_context().map(|it| (it.trace_id, it.span_id))).collect();
        let expected = [Some(1), Some(2), None].map(|id| id.map(|id| (TraceId::from(7), SpanId::from(id))));
        assert_eq!(spans, expected);
    }

    #[test]
    fn a_line_is_told_with_its_level_target_and_fields() {
        let error = std::io::Error::other("no room");
        let records = told(
            || (),
            || {
                tracing::warn!(target: "weir::server", count = 3_u64, ok = false, path = %"/a", error = &error as &dyn std::error::Error, "connections were closed");
            },
        );
        let [record] = &records[..] else { panic!("{records:?}") };
        assert_eq!(record.severity_text(), Some("WARN"));
        assert_eq!(record.severity_number(), Some(opentelemetry::logs::Severity::Warn));
        assert_eq!(record.target().map(|it| &**it), Some("weir::server"));
        assert_eq!(record.event_name(), None);
        assert!(record.timestamp().is_some());
        assert_eq!(bodies(&records), ["connections were closed"]);
        let attributes: Vec<_> = record.attributes_iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        let expected: [(&str, AnyValue); 4] =
            [("count", 3.into()), ("ok", false.into()), ("path", "/a".into()), ("exception.message", "no room".into())];
        assert_eq!(attributes[..4], expected);
        assert_eq!(attributes[4].0, "code.file.path");
    }

    #[test]
    fn what_was_logged_before_telemetry_started_is_told_first() {
        let records = told(|| tracing::info!("first"), || tracing::info!("second"));
        assert_eq!(bodies(&records), ["first", "second"]);
    }

    #[test]
    fn what_is_logged_before_telemetry_starts_has_a_bound() {
        let records = told(|| (0..EARLY + 10).for_each(|n| tracing::info!(n, "early")), || ());
        assert_eq!(records.len(), EARLY);
    }

    #[test]
    fn what_carries_telemetry_away_is_not_told() {
        let records = told(
            || (),
            || {
                tracing::error!(target: "hyper::proto", "hyper");
                tracing::error!(target: "opentelemetry_sdk", "sdk");
                tracing::error!(target: "tonic::transport", "tonic");
                tracing::error!(target: "weirdo", "another crate");
                tracing::debug!(target: "weir::telemetry::outbox", "each sending");
                tracing::warn!(target: "weir::telemetry::outbox", "the collector is away");
                tracing::debug!(target: "weir::telemetry_of_others", "another module");
                let _suppressed = Context::enter_telemetry_suppressed_scope();
                tracing::error!("on the way of an export");
            },
        );
        assert_eq!(bodies(&records), ["the collector is away", "another module"]);
    }

    /// Logs when it is told something, as one does whose queue is full.
    #[derive(Debug)]
    struct Talkative(Arc<Mutex<usize>>);

    impl LogProcessor for Talkative {
        fn emit(&self, _: &mut SdkLogRecord, _: &opentelemetry::InstrumentationScope) {
            *self.0.lock().unwrap() += 1;
            tracing::warn!("full");
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_is_logged_while_one_is_told_is_not_told() {
        let told = Arc::default();
        let provider = SdkLoggerProvider::builder().with_log_processor(Talkative(Arc::clone(&told))).build();
        let log = HostLog::default();
        log.export_by(Some(Told::of_host(&provider, &Config::default())));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(log.layer()), || {
            tracing::info!("one");
            tracing::info!("two");
        });
        assert_eq!(*told.lock().unwrap(), 2);
    }

    #[test]
    fn with_nobody_to_tell_nothing_is_kept() {
        let log = HostLog::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(log.layer()), || {
            tracing::info!("early");
            log.export_by(None);
            tracing::info!("late");
        });
        assert!(log.0.early.lock().unwrap().is_empty());
    }

    #[test]
    fn long_texts_are_cut() {
        let long = "x".repeat(10_000);
        let records = told(|| (), || tracing::info!(long, "{long}"));
        let cut = format!("{}… [10000 bytes]", &long[..8 * 1024]);
        assert_eq!(bodies(&records), [&*cut]);
        assert!(records[0].attributes_iter().any(|it| *it == ("long".into(), cut.clone().into())));
    }
}

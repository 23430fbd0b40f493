//! How exporters are doing, as metrics: what was sent, what waits, what is lost and why. For people: see
//! [`OutboxStatus`](super::OutboxStatus).

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use super::names::{dimension, metric};
use super::outbox::{Outbox, OutboxStatus};

/// What is told of one outbox.
type Tell = fn(&OutboxStatus, &mut dyn FnMut(u64, &[KeyValue]));

/// Has the outboxes asked whenever metrics are read.
pub(super) fn watch(meter: &Meter, outboxes: &[Outbox]) {
    let outboxes: Arc<[Outbox]> = outboxes.into();
    let counters: [(&'static str, &'static str, Tell); 4] = [
        (metric::EXPORTER_SENT, "{item}", |it, tell| tell(it.sent, &[])),
        (metric::EXPORTER_LOST, "{item}", |it, tell| {
            for (reason, items) in &it.lost {
                tell(*items, &[KeyValue::new(dimension::REASON, *reason)]);
            }
        }),
        (metric::EXPORTER_RETRIES, "{attempt}", |it, tell| tell(it.retries, &[])),
        (metric::EXPORTER_RESTARTS, "{restart}", |it, tell| tell(it.restarts, &[])),
    ];
    for (name, unit, tell) in counters {
        let ask = asking(&outboxes, tell);
        meter.u64_observable_counter(name).with_unit(unit).with_callback(ask).build();
    }
    let gauges: [(&'static str, &'static str, Tell); 3] = [
        (metric::EXPORTER_WAITING, "{item}", |it, tell| {
            tell(it.in_memory, &[KeyValue::new(dimension::PLACE, "memory")]);
            tell(it.spooled, &[KeyValue::new(dimension::PLACE, "spool")]);
        }),
        (metric::EXPORTER_SPOOL, "By", |it, tell| tell(it.spool_bytes, &[])),
        (metric::EXPORTER_AWAY, "1", |it, tell| tell(u64::from(it.state == "away"), &[])),
    ];
    for (name, unit, tell) in gauges {
        let ask = asking(&outboxes, tell);
        meter.u64_observable_gauge(name).with_unit(unit).with_callback(ask).build();
    }
}

fn asking(outboxes: &Arc<[Outbox]>, tell: Tell) -> impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync + use<> {
    let outboxes = Arc::clone(outboxes);
    move |told| {
        for status in outboxes.iter().map(Outbox::status) {
            let exporter = KeyValue::new(dimension::EXPORTER, status.exporter);
            let signal = KeyValue::new(dimension::SIGNAL, status.signal);
            tell(&status, &mut |value, more| {
                told.observe(value, &[&[exporter.clone(), signal.clone()], more].concat())
            });
        }
    }
}

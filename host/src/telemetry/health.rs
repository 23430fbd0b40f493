//! How exporters are doing, as metrics: what was sent, what waits, what is lost and why. For people: see
//! [`OutboxStatus`](super::OutboxStatus).

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::metrics::{rising, signed, up_down};
use super::names::{dimension, metric};
use super::outbox::{Loss, Outbox, OutboxStatus};

/// Tells a number, with the labels that it has beside those of its outbox.
type Tell<'a> = &'a mut dyn FnMut(u64, &[KeyValue]);

/// What is told of one outbox.
type Numbers = fn(&OutboxStatus, Tell<'_>);

const RISING: [(&str, Numbers); 4] = [
    (metric::EXPORTER_SENT, |it, tell| tell(it.sent, &[])),
    (metric::EXPORTER_LOST, |it, tell| {
        // All of them, though nothing is lost: an alert on what rises must see where it began.
        for reason in Loss::ALL.map(Loss::as_str) {
            let items = it.lost.get(reason).copied().unwrap_or_default();
            tell(items, &[KeyValue::new(dimension::REASON, reason)]);
        }
    }),
    (metric::EXPORTER_RETRY, |it, tell| tell(it.retries, &[])),
    (metric::EXPORTER_RESTART, |it, tell| tell(it.restarts, &[])),
];

const UP_DOWN: [(&str, Numbers); 3] = [
    (metric::EXPORTER_WAITING, |it, tell| {
        tell(it.in_memory, &[KeyValue::new(dimension::PLACE, "memory")]);
        tell(it.spooled, &[KeyValue::new(dimension::PLACE, "spool")]);
    }),
    (metric::EXPORTER_SPOOL, |it, tell| tell(it.spool_bytes, &[])),
    (metric::EXPORTER_AWAY, |it, tell| tell(u64::from(it.state == "away"), &[])),
];

/// Has the outboxes asked whenever metrics are read.
pub(super) fn watch(meter: &Meter, outboxes: &[Outbox]) {
    let outboxes: Arc<[Outbox]> = outboxes.into();
    for (name, numbers) in RISING {
        let outboxes = Arc::clone(&outboxes);
        rising(meter, name, move |told| ask(&outboxes, numbers, &mut |value, labels| told.observe(value, labels)));
    }
    for (name, numbers) in UP_DOWN {
        let outboxes = Arc::clone(&outboxes);
        up_down(meter, name, move |told| {
            ask(&outboxes, numbers, &mut |value, labels| told.observe(signed(value), labels));
        });
    }
}

fn ask(outboxes: &[Outbox], numbers: Numbers, tell: Tell<'_>) {
    for status in outboxes.iter().map(Outbox::status) {
        let exporter = KeyValue::new(dimension::EXPORTER, status.exporter);
        let signal = KeyValue::new(dimension::SIGNAL, status.signal);
        numbers(&status, &mut |value, more| tell(value, &[&[exporter.clone(), signal.clone()], more].concat()));
    }
}

//! Items into parcels, and parcels into items again. Pure.
//!
//! A parcel's body is a JSON array of envelopes without their instrumentation key. What Application Insights takes or
//! refuses one by one are envelopes, so these are what a parcel counts: a span with two events is three of them.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::envelope::Envelope;
use crate::telemetry::outbox::parcel::{PARCEL_BYTES, Parcel, Signal};

/// The items in as few parcels as they fit into.
pub(super) fn bundle<'a>(signal: Signal, envelopes: impl IntoIterator<Item = Envelope<'a>>) -> Vec<Parcel> {
    let (mut parcels, mut array) = (Vec::new(), Array::default());
    for envelope in envelopes {
        let item = serde_json::to_string(&envelope).expect("texts and finite numbers can be written as JSON");
        if array.count > 0 && array.text.len() + item.len() + 1 > PARCEL_BYTES {
            parcels.push(std::mem::take(&mut array).parcel(signal));
        }
        array.push(&item);
    }
    if array.count > 0 {
        parcels.push(array.parcel(signal));
    }
    parcels
}

/// These items as one parcel.
pub(super) fn of<'a>(signal: Signal, items: impl IntoIterator<Item = &'a RawValue>) -> Parcel {
    let mut array = Array::default();
    items.into_iter().for_each(|item| array.push(item.get()));
    array.parcel(signal)
}

/// The items of a parcel; none if it cannot be read.
pub fn items(parcel: &Parcel) -> Option<Vec<&RawValue>> {
    serde_json::from_slice(&parcel.body).ok()
}

/// The parcel in two of about as many items.
pub(super) fn halve(parcel: &Parcel) -> Option<[Parcel; 2]> {
    let items = items(parcel).filter(|items| items.len() > 1)?;
    let (one, other) = items.split_at(items.len() / 2);
    Some([one, other].map(|half| of(parcel.signal, half.iter().copied())))
}

/// The body as it is sent: every envelope says whose it is.
pub(super) fn addressed(items: &[&RawValue], key: &str) -> String {
    let mut array = Array::default();
    for item in items {
        array.push(&format!("{{\"iKey\":\"{key}\",{}", item.get().trim_start_matches(['{', ' '])));
    }
    array.close()
}

/// A JSON array that grows.
#[derive(Default)]
struct Array {
    text: String,
    count: u32,
}

impl Array {
    fn push(&mut self, item: &str) {
        self.text.push(if self.count == 0 { '[' } else { ',' });
        self.text.push_str(item);
        self.count += 1;
    }

    fn close(mut self) -> String {
        self.text.push_str(if self.count == 0 { "[]" } else { "]" });
        self.text
    }

    fn parcel(self, signal: Signal) -> Parcel {
        let items = self.count;
        Parcel { signal, items, body: Bytes::from(self.close()) }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::Resource;

    use super::*;
    use crate::telemetry::azure_monitor::envelope::{Data, Message, VER};
    use crate::telemetry::azure_monitor::tags::Sender;
    use crate::telemetry::azure_monitor::text::Properties;

    fn messages(sender: &Sender, texts: &[String]) -> Vec<Parcel> {
        bundle(
            Signal::Logs,
            texts.iter().map(|text| {
                let properties = Properties::default();
                let data = Message { ver: VER, message: text.as_str().into(), severity_level: None, properties };
                Envelope::new(std::time::UNIX_EPOCH, sender.tags(), Data::Message(data))
            }),
        )
    }

    #[test]
    fn a_parcel_holds_what_fits_and_at_least_one_item() {
        let sender = Sender::of(&Resource::builder_empty().build());
        for (sizes, expected) in [
            (&[][..], &[][..]),
            (&[1], &[1]),
            (&[1, 1, 1], &[3]),
            (&[600_000, 300_000, 300_000], &[2, 1]),
            (&[3_000_000, 1, 3_000_000], &[1, 1, 1]),
        ] {
            let texts: Vec<_> = sizes.iter().map(|size| "x".repeat(*size)).collect();
            let parcels = messages(&sender, &texts);
            assert_eq!(parcels.iter().map(|parcel| parcel.items).collect::<Vec<_>>(), expected, "{sizes:?}");
            let read: Vec<_> = parcels.iter().map(|parcel| items(parcel).map(|items| items.len())).collect();
            assert_eq!(read, expected.iter().map(|count| Some(*count as usize)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn halves_have_all_items_and_a_single_one_has_no_halves() {
        let sender = Sender::of(&Resource::builder_empty().build());
        let texts: Vec<_> = (0..5).map(|number| number.to_string()).collect();
        let [whole] = &messages(&sender, &texts)[..] else { panic!("one parcel") };
        let [one, other] = halve(whole).unwrap();
        assert_eq!((one.items, other.items), (2, 3));
        let again = [&one, &other].map(|half| items(half).unwrap()).concat();
        assert_eq!(of(Signal::Logs, again), *whole);
        let [single] = &messages(&sender, &texts[..1])[..] else { panic!("one parcel") };
        assert_eq!(halve(single), None);
        assert_eq!(halve(&Parcel { body: Bytes::from_static(b"[{},{"), ..single.clone() }), None);
    }

    #[test]
    fn what_is_sent_says_whose_it_is_and_what_is_kept_does_not() {
        let sender = Sender::of(&Resource::builder_empty().build());
        let [parcel] = &messages(&sender, &["a".to_owned(), "b".to_owned()])[..] else { panic!("one parcel") };
        assert!(!String::from_utf8_lossy(&parcel.body).contains("iKey"));
        let sent = addressed(&items(parcel).unwrap(), "the-key");
        let sent: Vec<serde_json::Value> = serde_json::from_str(&sent).unwrap();
        assert_eq!(sent.iter().map(|it| &it["iKey"]).collect::<Vec<_>>(), ["the-key", "the-key"]);
        assert_eq!(sent[1]["data"]["baseData"]["message"], "b");
    }
}

//! The way of feedback for the simulation of the whole host: no thread, and destinations that are now there and now not.

use std::collections::BTreeMap;

use super::*;
use crate::simulation::dice::Dice;
use crate::simulation::link::{Link, Way};

/// Who is told of judgements, by their numbers. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    link: Link,
    dice: Dice,
    /// How often each was told.
    told: Arc<Mutex<BTreeMap<u32, u32>>>,
}

impl Judge {
    pub(crate) fn new(link: Link, dice: Dice) -> Self {
        Self { link, dice, told: Arc::default() }
    }

    /// Which of these it was never told.
    pub(crate) fn misses(&self, numbers: &BTreeSet<u32>) -> Vec<u32> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.iter().filter(|it| !told.contains_key(it)).copied().collect()
    }
}

impl Sink for Judge {
    fn tell(&self, spans: Vec<SpanData>, _: &[Log]) -> OTelSdkResult {
        let failed = |why: &str| Err(OTelSdkError::InternalFailure(why.to_owned()));
        if self.link.way() != Way::Open || self.dice.one_in(10) {
            return failed("no connection");
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for span in &spans {
            *told.entry(said(span).parse().unwrap()).or_default() += 1;
        }
        if self.dice.one_in(10) { failed("the answer was not heard") } else { Ok(()) }
    }
}

/// What takes feedback of a journal to one destination, when it is told to.
#[derive(Debug)]
pub(crate) struct Delivering(Deliverer);

impl Delivering {
    /// What its thread does; when it would look again, if not only when more has come.
    pub(crate) fn work(&mut self) -> Option<Instant> {
        self.0.work(false)
    }
}

/// One for each destination.
pub(crate) fn deliverers(journal: &Arc<Journal>, judges: &[Judge]) -> Vec<Delivering> {
    let told = Arc::new(Told::by(judges.len()));
    let longest = Duration::from_secs(30);
    let one = |judge: &Judge| {
        Deliverer::new(Arc::clone(journal), Arc::default(), Box::new(judge.clone()), Arc::clone(&told), longest)
    };
    judges.iter().map(|judge| Delivering(one(judge))).collect()
}

/// A judgement of this number, as the journal keeps it.
pub(crate) fn record(number: u32) -> Vec<u8> {
    let attributes = vec![KeyValue::new("feedback", number.to_string())];
    Record::new(&Context::new(), Feedback { attributes, ..Feedback::default() }).encode()
}

//! What one request may spend on models: calls and tokens, of all its nodes together. Pure.
//!
//! Each costs money, and a loop in a node, or an agent that never finds its answer, spends it without end. The node's own
//! time is no bound: a model answers many calls in a minute.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::setting::{self, Reader, Setting};

/// What a request may spend if its flow does not say. Calls: a flow that asks a model once for each of 100 pieces of a
/// document, and again for what it made of each, is within it. Tokens: such a flow with pieces of 4000 tokens, and any
/// conversation that fits a model.
pub const DEFAULT: Limits = Limits { calls: 200, tokens: 1_000_000 };

/// A flow that needs more is an agent that works for hours, or a mistake.
pub static MAX_CALLS: Setting = Setting::new(
    "WEIR_LLM_MAX_CALLS",
    "1000",
    "the most calls of models that a flow may allow each request (`budget.calls` in the flow file; 200 if it does not say)",
);
/// A thousand calls of ten thousand tokens.
pub static MAX_TOKENS: Setting = Setting::new(
    "WEIR_LLM_MAX_TOKENS",
    "10000000",
    "likewise the most tokens (`budget.tokens`; 1000000 if it does not say)",
);

/// The most that an operator can allow: what is more is no bound.
const MOST: usize = 1_000_000_000;

/// What one request may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls of models, whatever comes of them.
    pub calls: u64,
    /// Tokens of questions and answers.
    pub tokens: u64,
}

/// What one request has spent so far.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    calls: AtomicU64,
    tokens: AtomicU64,
}

/// Nothing is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Spent {
    #[error(
        "the request has made {0} calls of models, all that it may; raise `budget.calls` of the flow if it needs more"
    )]
    Calls(u64),
    #[error(
        "the request has used up {0} tokens of models, all that it may; raise `budget.tokens` of the flow if it needs more"
    )]
    Tokens(u64),
}

impl Limits {
    /// The most that flows may allow.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let count = |text: &str| setting::count_within(0, MOST)(text).map(|count| count as u64);
        Self { calls: reader.value(&MAX_CALLS, count), tokens: reader.value(&MAX_TOKENS, count) }
    }
}

impl Budget {
    pub fn new(limits: Limits) -> Self {
        Self { limits, calls: AtomicU64::new(0), tokens: AtomicU64::new(0) }
    }

    /// Counts a call, before it is made. What it will cost is not known yet: calls that begin while something is left may
    /// spend more than that.
    ///
    /// # Errors
    /// It may not be made.
    pub fn call(&self) -> Result<(), Spent> {
        let Limits { calls, tokens } = self.limits;
        if self.tokens.load(Ordering::Relaxed) >= tokens {
            return Err(Spent::Tokens(tokens));
        }
        let one_more = |made: u64| (made < calls).then_some(made + 1);
        let counted = self.calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        counted.map(|_| ()).map_err(|_| Spent::Calls(calls))
    }

    /// Counts what a call has cost.
    pub fn spend(&self, tokens: u64) {
        // The number is the service's, and may be absurd.
        let sum = |spent: u64| Some(spent.saturating_add(tokens));
        _ = self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_to_the_last() {
        let budget = Budget::new(Limits { calls: 2, tokens: 100 });
        assert_eq!([budget.call(), budget.call(), budget.call()], [Ok(()), Ok(()), Err(Spent::Calls(2))]);
        assert_eq!(Budget::new(Limits { calls: 0, tokens: 1 }).call(), Err(Spent::Calls(0)));
    }

    #[test]
    fn a_call_begins_as_long_as_tokens_are_left() {
        let budget = Budget::new(Limits { calls: 10, tokens: 100 });
        budget.spend(99);
        assert_eq!(budget.call(), Ok(()));
        budget.spend(1);
        assert_eq!(budget.call(), Err(Spent::Tokens(100)));
        budget.spend(u64::MAX);
        assert_eq!(budget.call(), Err(Spent::Tokens(100)));
    }

    #[test]
    fn many_threads_spend_no_more_than_there_is() {
        let budget = Budget::new(Limits { calls: 1000, tokens: 1 });
        let made: usize = std::thread::scope(|scope| {
            let calls = || (0..500).filter(|_| budget.call().is_ok()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(calls)).collect();
            threads.into_iter().map(|thread| thread.join().expect("it does not panic")).sum()
        });
        assert_eq!(made, 1000);
    }
}

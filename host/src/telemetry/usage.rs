//! How many tokens a request, a node, a call has cost so far. Who writes them on spans: see spans.rs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::KeyValue;

use super::names::attribute;

/// Tokens that one call cost, as the service counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    pub prompt: u64,
    /// Zero for embeddings.
    pub completion: u64,
    pub total: u64,
}

/// Tokens that add up: what is added to one is added to all above it. Clones share the sum.
///
/// A request starts one, each node starts one [`Usage::below`] that of whatever called it. So every span can write
/// the sum of what lies beneath it when it ends, and no span has to look for its children.
#[derive(Clone, Debug, Default)]
pub struct Usage(Arc<Sum>);

#[derive(Debug, Default)]
struct Sum {
    prompt: AtomicU64,
    completion: AtomicU64,
    total: AtomicU64,
    above: Option<Usage>,
}

impl Usage {
    /// A sum of its own, whose tokens also count above.
    pub fn below(above: &Self) -> Self {
        Self(Arc::new(Sum { above: Some(above.clone()), ..Sum::default() }))
    }

    /// Adds what a call cost, here and above.
    pub fn add(&self, tokens: Tokens) {
        let mut next = Some(self);
        while let Some(Self(sum)) = next {
            sum.prompt.fetch_add(tokens.prompt, Ordering::Relaxed);
            sum.completion.fetch_add(tokens.completion, Ordering::Relaxed);
            sum.total.fetch_add(tokens.total, Ordering::Relaxed);
            next = sum.above.as_ref();
        }
    }

    /// The tokens so far.
    pub fn tokens(&self) -> Tokens {
        Tokens {
            prompt: self.0.prompt.load(Ordering::Relaxed),
            completion: self.0.completion.load(Ordering::Relaxed),
            total: self.0.total.load(Ordering::Relaxed),
        }
    }
}

impl Tokens {
    /// The three sums as attributes; none where nothing was spent, so that a flow without a model shows no zeros.
    pub(super) fn cumulative(self) -> Option<[KeyValue; 3]> {
        (self != Self::default()).then(|| {
            [
                KeyValue::new(attribute::CUMULATIVE_PROMPT, whole(self.prompt)),
                KeyValue::new(attribute::CUMULATIVE_COMPLETION, whole(self.completion)),
                KeyValue::new(attribute::CUMULATIVE_TOTAL, whole(self.total)),
            ]
        })
    }
}

/// A count as OpenTelemetry holds it. The number comes from outside, so it may be absurd.
pub(super) fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_count_here_and_above_but_not_beside() {
        let request = Usage::default();
        let (first, second) = (Usage::below(&request), Usage::below(&request));
        let nested = Usage::below(&first);
        nested.add(Tokens { prompt: 9, completion: 5, total: 14 });
        second.add(Tokens { prompt: 1, completion: 0, total: 1 });

        assert_eq!(nested.tokens(), Tokens { prompt: 9, completion: 5, total: 14 });
        assert_eq!(first.tokens(), Tokens { prompt: 9, completion: 5, total: 14 });
        assert_eq!(second.tokens(), Tokens { prompt: 1, completion: 0, total: 1 });
        assert_eq!(request.tokens(), Tokens { prompt: 10, completion: 5, total: 15 });
    }

    #[test]
    fn nothing_spent_is_nothing_said() {
        assert_eq!(Tokens::default().cumulative(), None);
    }
}

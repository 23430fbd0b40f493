//! A number that nobody needs to be unable to guess: what spreads over time what would else happen at once. A leaf: uses
//! nothing, used by all.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// From 0 to 1, which it never is. A test that wants the same twice may give it a beginning.
pub fn chance() -> f64 {
    #[cfg(test)]
    if let Some(chance) = tests::given() {
        return chance;
    }
    // The keys of the standard library's hash are random.
    of(RandomState::new().hash_one(()))
}

/// A time around `middle`, by up to such a part of it less or more, and never longer than `longest`: near that it is spread
/// below, so that those who have come to it still differ.
pub fn spread(middle: Duration, part: f64, longest: Duration, chance: f64) -> Duration {
    let shortest = middle.min(longest).mul_f64(1.0 - part);
    let room = middle.mul_f64(1.0 + part).min(longest).saturating_sub(shortest);
    shortest + room.mul_f64(chance.clamp(0.0, 1.0))
}

/// The upper bits, as many as a fraction has room for.
pub(crate) fn of(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::simulation::dice::Dice;

    thread_local! {
        static GIVEN: RefCell<Option<Dice>> = const { RefCell::new(None) };
    }

    /// From now on chance falls so on this thread; none: as it likes.
    pub(crate) fn give(dice: Option<Dice>) {
        GIVEN.set(dice);
    }

    pub(super) fn given() -> Option<f64> {
        GIVEN.with_borrow(|dice| dice.as_ref().map(Dice::chance))
    }

    #[test]
    fn chances_lie_between_nothing_and_certainty() {
        assert!((0..1000).all(|_| (0.0..1.0).contains(&chance())));
        assert_eq!((of(0), of(u64::MAX) < 1.0), (0.0, true));
    }

    #[test]
    fn times_are_spread_also_at_the_longest() {
        let spread =
            |middle, chance| spread(Duration::from_secs(middle), 0.5, Duration::from_secs(8), chance).as_secs();
        assert_eq!([0.0, 0.5, 1.0].map(|chance| spread(4, chance)), [2, 4, 6]);
        assert_eq!([0.0, 0.5, 1.0].map(|chance| spread(8, chance)), [4, 6, 8]);
        assert_eq!([-1.0, 0.5, 7.0].map(|chance| spread(100, chance)), [4, 6, 8]);
    }

    #[test]
    fn the_same_beginning_gives_the_same_chances() {
        let chances = |seed| {
            give(Some(Dice::new(seed)));
            let chances: Vec<f64> = (0..10).map(|_| chance()).collect();
            give(None);
            chances
        };
        assert_eq!(chances(7), chances(7));
        assert_ne!(chances(7), chances(8));
    }
}

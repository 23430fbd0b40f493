//! A number that nobody needs to be unable to guess: what spreads over time what would else happen at once. A leaf: uses
//! nothing, used by all.

use std::hash::{BuildHasher as _, RandomState};

/// From 0 to 1, which it never is. A test that wants the same twice may give it a beginning.
pub fn chance() -> f64 {
    #[cfg(test)]
    if let Some(chance) = tests::given() {
        return chance;
    }
    // The keys of the standard library's hash are random.
    of(RandomState::new().hash_one(()))
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

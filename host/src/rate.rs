//! How often something may happen: token buckets, a bounded number of them. Pure: told what time it is, and by a clock
//! that is never set back. What is limited, and what becomes of what is too much, is decided elsewhere.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many callers a quota tells apart. Those that have not come for the longest are forgotten first, as if they had
/// never come: whoever has that many addresses is held by the quota of all.
const MAX_CALLERS: usize = 8192;
/// The most that a rate may allow in its unit of time: beyond it the distance of two events is no number of nanoseconds.
const MAX_COUNT: u32 = 1_000_000;

/// So many in a time; and so many at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// From one to the next, if they come evenly.
    interval: Duration,
    burst: u32,
}

impl Rate {
    /// `count` in each `time`, and as many at once.
    pub const fn new(count: u32, time: Duration) -> Self {
        Self { interval: time.checked_div(count).expect("a rate allows something"), burst: count }
    }

    /// As many at once.
    #[must_use]
    pub const fn burst(self, burst: u32) -> Self {
        Self { burst, ..self }
    }
}

/// Reads a rate, such as `50/s` or `600/m`; `none`: no limit. Twice the count may come at once.
///
/// # Errors
/// Says what was expected.
pub fn rate(text: &str) -> Result<Option<Rate>, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    let wrong = || format!("{text:?} is no rate; write 50/s (a second), 600/m (a minute), or none");
    let (count, unit) = text.split_once('/').ok_or_else(wrong)?;
    let time = match unit.trim() {
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        _ => return Err(wrong()),
    };
    let count = count.trim().parse::<u32>().map_err(|_| wrong())?;
    if !(1..=MAX_COUNT).contains(&count) {
        return Err(format!("{text:?} must allow from 1 to {MAX_COUNT}; write none for no limit"));
    }
    Ok(Some(Rate::new(count, time).burst(count * 2)))
}

/// A bucket of tokens, as the time at which it will be full again: all that needs to be known, and exact.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    full: Instant,
}

impl Bucket {
    fn full_at(now: Instant) -> Self {
        Self { full: now }
    }

    /// The bucket without one token more; or how long until there is one.
    fn take(self, rate: Rate, now: Instant) -> Result<Self, Duration> {
        let full = self.full.max(now) + rate.interval;
        let missing = full.duration_since(now).saturating_sub(rate.interval * rate.burst);
        if missing.is_zero() { Ok(Self { full }) } else { Err(missing) }
    }
}

/// A rate for each caller, and one for all of them.
pub struct Quota<K> {
    each: Option<Rate>,
    total: Option<Rate>,
    state: Mutex<State<K>>,
}

struct State<K> {
    each: Recent<K, Bucket>,
    total: Option<Bucket>,
}

impl<K: Copy + Eq + Hash> Quota<K> {
    pub fn new(each: Option<Rate>, total: Option<Rate>) -> Self {
        Self { each, total, state: Mutex::new(State { each: Recent::new(MAX_CALLERS), total: None }) }
    }

    /// Counts one event of this caller.
    ///
    /// # Errors
    /// If it is one too many: how long until one more may come. It is not counted then, neither for the caller nor for
    /// all.
    pub fn take(&self, caller: K, now: Instant) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |bucket: Option<Bucket>, rate: Option<Rate>| match rate {
            Some(rate) => bucket.unwrap_or_else(|| Bucket::full_at(now)).take(rate, now).map(Some),
            None => Ok(None),
        };
        let each = of(state.each.get(&caller), self.each)?;
        let total = of(state.total, self.total)?;
        state.total = total;
        if let Some(each) = each {
            state.each.put(caller, each);
        }
        Ok(())
    }
}

impl<K> fmt::Debug for Quota<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quota").field("each", &self.each).field("total", &self.total).finish_non_exhaustive()
    }
}

/// A map of what was put last: holds at most `capacity` entries, and surely the latest half of that.
///
/// Two generations instead of a list in order of use: when the young one is full it becomes the old one, whose entries
/// are forgotten unless they are put again. Every step takes the same time, however many entries a caller causes.
struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    capacity: usize,
}

impl<K: Copy + Eq + Hash, V: Copy> Recent<K, V> {
    fn new(capacity: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), capacity }
    }

    fn get(&self, key: &K) -> Option<V> {
        self.young.get(key).or_else(|| self.old.get(key)).copied()
    }

    fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.capacity / 2 && !self.young.contains_key(&key) {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests;

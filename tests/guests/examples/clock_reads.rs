//! Measures how coarse its clocks are.

use std::hint::black_box;
use std::time::{Instant, SystemTime};

use weir_sdk::{data, node};

/// Nanoseconds of the smallest step that was seen.
#[data]
struct Steps {
    monotonic: u64,
    wall: u64,
    /// Whether each moment of the wall clock was a multiple of the step asked about.
    even: bool,
}

/// Reads both clocks until each has moved on so many times.
#[node]
fn clock_reads(times: usize, step: u64) -> Steps {
    let wall = || SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos() as u64);
    let began = Instant::now();
    let monotonic = smallest(times, || began.elapsed().as_nanos() as u64);
    let mut even = true;
    let wall = smallest(times, || {
        let now = wall();
        even &= now % step == 0;
        now
    });
    Steps { monotonic, wall, even }
}

fn smallest(times: usize, now: impl FnMut() -> u64) -> u64 {
    let mut now = now;
    let (mut last, mut smallest, mut seen) = (now(), u64::MAX, 0);
    while seen < times {
        // Work for a tenth of a millisecond or so: reading a clock is a call to the host, of which there may not be many.
        (0..100_000).for_each(|n| _ = black_box(n));
        let this = now();
        if this != last {
            smallest = smallest.min(this - last);
            (last, seen) = (this, seen + 1);
        }
    }
    smallest
}

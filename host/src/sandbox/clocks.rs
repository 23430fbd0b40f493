//! Clocks as a node sees them: as coarse as the operator says. A fine clock is what a node would measure others by, who share
//! its caches and processors; what is left of that is said in SECURITY.md.

use std::time::{Duration, Instant, SystemTime};

use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock};

use crate::boundary::bounds::Resolution;
use crate::setting::{Reader, Setting, time_up_to};

/// A node that times its own work or writes down when something was needs no more. Caches are told apart at a thousandth of it.
pub static RESOLUTION: Setting = Setting::new(
    "WEIR_CLOCK_RESOLUTION",
    "1ms",
    "how coarse the clocks of nodes are; longer than a request, and they stand still; at most 24h",
);

const COARSEST: Duration = Duration::from_secs(24 * 3600);

/// How coarse they are, as the operator says.
pub fn read(reader: &mut Reader<'_>) -> Resolution {
    Resolution(reader.value(&RESOLUTION, time_up_to(COARSEST)))
}

/// Gives a node its clocks.
pub(super) fn give(wasi: &mut WasiCtxBuilder, resolution: Resolution, began: Instant) {
    wasi.wall_clock(Wall(resolution)).monotonic_clock(Monotonic { resolution, began });
}

struct Wall(Resolution);

impl HostWallClock for Wall {
    fn resolution(&self) -> Duration {
        self.0.0
    }

    fn now(&self) -> Duration {
        // A machine whose clock is before 1970 says 1970.
        self.0.coarse(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
    }
}

/// Begins with the instance, and never goes back: what a guest remembers of it holds in its next run as well.
struct Monotonic {
    resolution: Resolution,
    began: Instant,
}

impl HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        nanos(self.resolution.0)
    }

    fn now(&self) -> u64 {
        nanos(self.resolution.coarse(self.began.elapsed()))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

//! What a spool keeps, gives up and gives back. What becomes of it on a disk that fails: see tests/faults.rs.

mod faults;

use futures_executor::block_on;
use tempfile::TempDir;

use super::*;

const LONG: Duration = Duration::from_secs(3600);

fn parcel(items: u32, bytes: usize) -> Parcel {
    Parcel { signal: Signal::Traces, items, body: vec![items.to_le_bytes()[0]; bytes].into() }
}

fn open(folder: &TempDir, limit: u64) -> Spool {
    Spool::open(folder.path(), Signal::Traces, limit, LONG).unwrap()
}

/// All that is there, the oldest first, without taking it away.
fn all(spool: &Spool) -> Vec<u32> {
    let all = std::iter::from_fn(|| spool.take().taken).map(|it| it.parcel.items).collect();
    spool.all_landed();
    all
}

#[test]
fn what_was_kept_is_there_again_for_the_next_process() {
    let folder = TempDir::new().unwrap();
    let spool = open(&folder, 1 << 20);
    for items in 1..=3 {
        assert_eq!(block_on(spool.keep(&parcel(items, 100))).unwrap(), 0);
    }
    let first = spool.take().taken.unwrap();
    assert_eq!(first.parcel, parcel(1, 100));
    spool.sent(first.sequence);
    spool.close();
    drop(spool);
    let spool = open(&folder, 1 << 20);
    assert_eq!(all(&spool), [2, 3]);
    assert_eq!(spool.fill().items, 5);
}

#[test]
fn the_oldest_make_room_and_what_they_held_is_known() {
    let folder = TempDir::new().unwrap();
    let spool = open(&folder, 1000);
    for items in [1, 2, 3] {
        assert_eq!(block_on(spool.keep(&parcel(items, 300))).unwrap(), 0);
    }
    assert_eq!(block_on(spool.keep(&parcel(4, 600))).unwrap(), 1 + 2);
    assert_eq!(all(&spool), [3, 4]);
}

#[test]
fn what_is_being_sent_is_not_taken_twice_and_does_not_make_room() {
    let folder = TempDir::new().unwrap();
    let spool = open(&folder, 1000);
    block_on(spool.keep(&parcel(1, 400))).unwrap();
    block_on(spool.keep(&parcel(2, 400))).unwrap();
    let first = spool.take().taken.unwrap();
    assert_eq!(block_on(spool.keep(&parcel(3, 400))).unwrap(), 2);
    assert_eq!(spool.take().taken.unwrap().parcel.items, 3);
    assert!(spool.take().taken.is_none());
    spool.landed(first.sequence);
    assert_eq!(spool.take().taken.unwrap().parcel.items, 1);
}

#[test]
fn what_is_too_old_goes_and_is_counted() {
    let folder = TempDir::new().unwrap();
    let spool = Spool::open(folder.path(), Signal::Traces, 1000, Duration::ZERO).unwrap();
    block_on(spool.keep(&parcel(7, 10))).unwrap();
    while since_1970() == spool.lock().parcels.values().next().unwrap().time {
        std::thread::yield_now();
    }
    let look = spool.take();
    assert!(look.taken.is_none());
    assert_eq!((look.lost, spool.fill()), (7, Fill::default()));
}

#[test]
fn a_wall_clock_that_is_set_by_hours_loses_nothing() {
    let folder = TempDir::new().unwrap();
    let spool = Spool::open(folder.path(), Signal::Traces, 1 << 20, 48 * LONG).unwrap();
    let hour = 3_600_000;
    // Kept when the clock was an hour late, and ten years early.
    for (items, time) in [(1, since_1970() - hour), (2, since_1970() + 10 * 365 * 24 * hour)] {
        block_on(spool.keep(&parcel(items, 10))).unwrap();
        spool.lock().parcels.values_mut().last().unwrap().time = time;
    }
    assert_eq!(all(&spool), [1, 2]);
    let oldest = spool.fill().oldest.unwrap();
    assert!(oldest >= LONG && oldest < 2 * LONG, "{oldest:?}");
    spool.lock().parcels.pop_first();
    assert_eq!(spool.fill().oldest, Some(Duration::ZERO));
}

impl Spool {
    pub(in crate::telemetry::outbox) fn leaves_files_alone(&self) -> bool {
        self.journal.status().damage.foreign > 0
    }

    /// What is there, the oldest first.
    pub(in crate::telemetry::outbox) fn bodies(&self) -> Vec<Bytes> {
        let sequences: Vec<Sequence> = self.lock().parcels.keys().copied().collect();
        let body = |sequence: Sequence| self.read(sequence).expect("the disk does not fail").map(|parcel| parcel.body);
        sequences.into_iter().filter_map(body).collect()
    }
}

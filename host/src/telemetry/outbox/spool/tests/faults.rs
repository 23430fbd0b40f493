//! Whatever fails and whenever the machine ends: what the spool has taken is sent, is still there, or was counted when it
//! was given up; and nothing panics.

use std::collections::BTreeSet;

use super::*;
use crate::journal::tests::medium::{Kind, Medium};

/// What a user of the spool knows.
#[derive(Debug, Default)]
struct Known {
    next: u32,
    /// The numbers of the parcels that were taken, have not been sent, and were not given up as far as is known.
    kept: BTreeMap<Sequence, u32>,
    /// Items that were given up.
    given_up: u64,
}

/// The bound of the spool in these tests: half of what a life brings.
const LIMIT: u64 = 12_000;

fn open_on(medium: &Medium) -> Option<Spool> {
    Spool::on(Signal::Traces, LIMIT, LONG, |limits, visit| Journal::on_medium(medium, limits, visit)).ok()
}

/// A parcel that begins with its number.
fn numbered(number: u32, bytes: usize) -> Parcel {
    let body = [&number.to_le_bytes()[..], &vec![b'x'; bytes]].concat();
    Parcel { signal: Signal::Traces, items: 1, body: body.into() }
}

fn number_of(parcel: &Parcel) -> u32 {
    let (number, rest) = parcel.body.split_first_chunk().expect("no parcel is a half");
    assert!(rest.iter().all(|byte| *byte == b'x'), "no parcel is a half");
    u32::from_le_bytes(*number)
}

impl Known {
    fn keep(&mut self, spool: &Spool, bytes: usize) {
        self.next += 1;
        let sequences = || spool.lock().parcels.keys().copied().collect::<BTreeSet<_>>();
        let before = sequences();
        if let Ok(given_up) = block_on(spool.keep(&numbered(self.next, bytes))) {
            let after = sequences();
            self.kept.insert(*after.last().expect("what was kept"), self.next);
            // The oldest that can be read. One that was sent may be among them, if that could not be written down.
            let gone: Vec<_> = before.difference(&after).collect();
            assert_eq!(gone.len() as u64, given_up);
            self.kept.retain(|sequence, _| !gone.contains(&sequence));
            self.given_up += given_up;
        }
    }

    /// Takes some; of these, the first are sent, and the others stay.
    fn send(&mut self, spool: &Spool, taken: usize, sent: usize) {
        for n in 0..taken {
            let Look { taken, lost, .. } = spool.take();
            assert_eq!(lost, 0, "nothing is lost that is on the disk");
            // What cannot be read now may be read later.
            let Some(taken) = taken else { return spool.all_landed() };
            if n < sent {
                spool.sent(taken.sequence);
                self.kept.remove(&taken.sequence);
            }
        }
        spool.all_landed();
    }

    /// All that was kept is there, whole; what was sent or given up may be there again.
    fn check(&self, spool: &Spool) {
        let found: BTreeSet<u32> = std::iter::from_fn(|| spool.take().taken).map(|it| number_of(&it.parcel)).collect();
        spool.all_landed();
        let missing: Vec<_> = self.kept.values().filter(|number| !found.contains(number)).collect();
        assert!(missing.is_empty(), "{missing:?} were taken and are lost; there are {found:?}");
        assert_eq!(spool.fill().items, found.len() as u64);
    }
}

/// What a spool sees in its life, with some operations that fail, and then a crash.
fn life(failing: impl Fn(&Medium)) -> (Medium, Known) {
    let medium = Medium::default();
    let mut known = Known::default();
    failing(&medium);
    for _ in 0..2 {
        let Some(spool) = open_on(&medium) else { continue };
        (0..8).for_each(|_| known.keep(&spool, 1500));
        known.send(&spool, 4, 2);
        (0..4).for_each(|_| known.keep(&spool, 600));
        known.send(&spool, 3, 3);
        spool.close();
    }
    medium.fail_no_more();
    for there in [true, false] {
        let spool = open_on(&medium.crash(&mut |_| there)).expect("nothing fails now");
        known.check(&spool);
        // And it goes on.
        block_on(spool.keep(&numbered(0, 10))).expect("nothing fails now");
    }
    (medium, known)
}

#[test]
fn the_failure_of_any_operation_of_the_disk_loses_no_parcel() {
    let (whole, known) = life(|_| {});
    assert!(known.given_up > 0 && !known.kept.is_empty(), "some make room, and some stay: {known:?}");
    for n in 1..=whole.operations() + 2 {
        life(|medium| medium.fail([n]));
        life(|medium| medium.fail([n, n + 1]));
        life(|medium| medium.fail_from(n));
    }
}

#[test]
fn the_failure_of_the_nth_operation_of_each_kind_loses_no_parcel() {
    let (whole, _) = life(|_| {});
    for kind in Kind::ALL {
        let count = whole.operations_of(kind);
        // A torn end is cut only where there was one.
        assert!(count > 0 || kind == Kind::Cut, "{kind:?}");
        for n in 1..=count + 2 {
            life(|medium| medium.fail_of(kind, [n]));
            life(|medium| medium.fail_of(kind, [n, n + 1]));
            life(|medium| medium.fail_of(kind, n..n + 100));
        }
    }
}

#[test]
fn for_what_the_disk_does_not_take_nothing_is_given_up() {
    let medium = Medium::default();
    let spool = open_on(&medium).unwrap();
    let mut known = Known::default();
    (0..7).for_each(|_| known.keep(&spool, 1600));
    assert_eq!(known.given_up, 0);
    medium.fail_of(Kind::Write, [1]);
    assert!(block_on(spool.keep(&numbered(99, 1600))).is_err());
    known.check(&spool);
    assert_eq!(spool.fill().items, 7);
    known.keep(&spool, 1600);
    assert_eq!((known.given_up, spool.fill().items), (1, 7));
}

/// A spool with three parcels, the first of which the disk cannot read.
fn with_a_bad_sector() -> (Medium, Spool) {
    let medium = Medium::default();
    let spool = Spool::on(Signal::Traces, LIMIT, LONG, |limits, visit| Journal::on_medium(&medium, limits, visit));
    let spool = spool.unwrap();
    block_on(spool.keep(&numbered(1, 100))).unwrap();
    medium.spoil(&medium.names()[0], 0..medium.length(0));
    block_on(spool.keep(&numbered(2, 100))).unwrap();
    block_on(spool.keep(&numbered(3, 100))).unwrap();
    (medium, spool)
}

fn taken(spool: &Spool) -> (Vec<u32>, usize) {
    let (mut numbers, mut told) = (Vec::new(), 0);
    loop {
        let look = spool.take();
        told += usize::from(look.unread.is_some());
        assert_eq!(look.lost, 0);
        let Some(taken) = look.taken else { return (numbers, told) };
        numbers.push(number_of(&taken.parcel));
        spool.sent(taken.sequence);
    }
}

#[tokio::test(start_paused = true)]
async fn a_parcel_that_cannot_be_read_keeps_back_no_other_and_is_told_of_once() {
    let (medium, spool) = with_a_bad_sector();
    assert_eq!(taken(&spool), (vec![2, 3], 1));
    block_on(spool.keep(&numbered(4, 100))).unwrap();
    assert_eq!(taken(&spool), (vec![4], 0));
    assert!(!spool.has_parcels(), "what comes next need not be spooled");
    for _ in 0..3 {
        let again = spool.reread_at().unwrap();
        assert!(again > now());
        tokio::time::sleep_until(again.into()).await;
        assert_eq!(taken(&spool), (vec![], 0));
    }
    assert_eq!(spool.fill().items, 1);
    medium.spoil_no_more();
    tokio::time::sleep(REREAD).await;
    assert_eq!((taken(&spool), spool.reread_at()), ((vec![1], 0), None));
}

#[test]
fn a_parcel_that_cannot_be_read_goes_when_it_is_too_old() {
    let (_medium, spool) = with_a_bad_sector();
    assert_eq!(taken(&spool), (vec![2, 3], 1));
    spool.lock().parcels.values_mut().for_each(|place| place.time = 0);
    spool.lock().unread.values_mut().for_each(|time| *time = now());
    assert_eq!((spool.take().lost, spool.fill(), spool.reread_at()), (1, Fill::default(), None));
}

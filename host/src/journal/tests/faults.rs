//! Whatever fails and whenever the machine ends: no accepted record is lost, and nothing panics.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What a user of the journal knows.
#[derive(Debug, Default)]
struct Known {
    /// Payloads that were accepted and not delivered, by their numbers.
    accepted: BTreeMap<u32, Sequence>,
    next: u32,
}

impl Known {
    fn append(&mut self, journal: &Journal, length: usize) {
        self.next += 1;
        let payload = [&self.next.to_le_bytes()[..], &vec![b'x'; length]].concat();
        if let Ok(sequence) = append(journal, &payload) {
            assert!(self.accepted.values().all(|earlier| *earlier < sequence), "sequences go up");
            self.accepted.insert(self.next, sequence);
        }
    }

    fn deliver(&mut self, journal: &Journal, count: usize, skip: usize) {
        let some: Vec<_> = self.accepted.iter().skip(skip).take(count).map(|(n, it)| (*n, *it)).collect();
        for (n, sequence) in some {
            journal.delivered(&[sequence]);
            self.accepted.remove(&n);
        }
    }

    /// Every accepted record is there, whole; delivered ones may be there again.
    fn check(&mut self, journal: &Journal) {
        let records = journal.pending(None, usize::MAX, usize::MAX);
        let mut found = BTreeMap::new();
        for record in records {
            let payload = record.payload.expect("nothing fails now");
            let (n, rest) = payload.split_first_chunk().expect("no record is a half");
            assert!(rest.iter().all(|byte| *byte == b'x'), "no record is a half");
            found.insert(u32::from_le_bytes(*n), record.sequence);
        }
        for (n, sequence) in &self.accepted {
            assert_eq!(found.get(n), Some(sequence), "record {n} was accepted and is lost; there are {found:?}");
        }
    }
}

fn small(medium: &Medium) -> Option<Journal> {
    Journal::on(Arc::new(medium.clone()), Limits { bytes: 16 * 1024 }, &mut |_, _| {}).ok()
}

/// What a host does in its life, with some operations that fail, and then a crash.
fn life(failing: impl Fn(&Medium)) -> Medium {
    let medium = Medium::default();
    let mut known = Known::default();
    failing(&medium);
    for _ in 0..2 {
        let Some(journal) = small(&medium) else { continue };
        for _ in 0..12 {
            known.append(&journal, 500);
        }
        known.deliver(&journal, 6, 1);
        for _ in 0..4 {
            known.append(&journal, 10);
        }
        known.deliver(&journal, 2, 2);
        // The oldest, so that a segment can go.
        known.deliver(&journal, 5, 0);
        journal.close(Duration::from_secs(60));
    }
    medium.fail_no_more();
    // What was not synced is there, or is not.
    for there in [true, false] {
        let after = medium.crash(&mut |_| there);
        let journal = small(&after).expect("nothing fails now");
        known.check(&journal);
        // And it goes on.
        append(&journal, b"more").expect("nothing fails now");
    }
    medium
}

#[test]
fn the_failure_of_any_operation_loses_nothing() {
    let operations = life(|_| {}).operations();
    assert!(operations > 60, "{operations}");
    for n in 1..=operations + 2 {
        life(|medium| medium.fail([n]));
        life(|medium| medium.fail([n, n + 1]));
        life(|medium| medium.fail([n, n + 2, n + 5]));
    }
}

#[test]
fn the_failure_of_the_nth_operation_of_each_kind_loses_nothing() {
    let whole = life(|_| {});
    let counts = Kind::ALL.map(|kind| (kind, whole.operations_of(kind)));
    // A torn end is cut only where there was one.
    assert!(counts.iter().all(|(kind, count)| *count > 0 || *kind == Kind::Cut), "{counts:?}");
    for (kind, count) in counts {
        for n in 1..=count + 2 {
            life(|medium| medium.fail_of(kind, [n]));
            // Two that follow each other, as when whoever failed tries again.
            life(|medium| medium.fail_of(kind, [n, n + 1]));
            life(|medium| medium.fail_of(kind, n..n + 100));
        }
    }
}

#[test]
fn a_torn_end_that_cannot_be_cut_is_read_as_well_and_cut_at_the_next_start() {
    let medium = Medium::default();
    let journal = open(&medium);
    append(&journal, b"one").unwrap();
    append(&journal, b"two").unwrap();
    close(journal);
    let name = medium.names()[0].clone();
    medium.change(&name, |bytes| bytes.truncate(bytes.len() - 1));
    medium.fail_of(Kind::Cut, [1]);
    for torn in [1, 1, 0] {
        let journal = open(&medium);
        assert_eq!((payloads(&journal), journal.status().damage.torn), (vec![b"one".to_vec()], torn));
        close(journal);
    }
}

#[test]
fn a_disk_that_fails_from_some_time_on_loses_nothing() {
    for n in 1..=life(|_| {}).operations() + 2 {
        life(|medium| medium.fail_from(n));
    }
}

#[test]
fn a_sync_that_failed_once_is_an_error_for_those_who_waited_and_a_new_file_for_the_next() {
    let medium = Medium::default();
    let journal = open(&medium);
    append(&journal, b"one").unwrap();
    // The write, then the sync.
    medium.fail([2]);
    assert!(matches!(append(&journal, b"two"), Err(AppendError::Disk(_))));
    assert_eq!(journal.status().last_error.as_deref(), Some("operation 8 fails"));
    append(&journal, b"three").unwrap();
    assert_eq!(medium.names().len(), 2);
    assert_eq!(payloads(&journal), [&b"one"[..], b"three"]);
    let journal = open(&medium.crash(&mut |_| false));
    assert_eq!(payloads(&journal), [&b"one"[..], b"three"]);
}

#[test]
fn a_disk_that_fails_for_long_leaves_no_files_behind() {
    let medium = Medium::default();
    let journal = open(&medium);
    append(&journal, b"one").unwrap();
    for _ in 0..100 {
        // The write, in a file that is there or, once that one is given up, in a new one.
        let failing = medium.operations();
        medium.fail((1..=3).filter(|it| *it != 1 || failing > 8));
        assert!(append(&journal, b"two").is_err());
        medium.fail_no_more();
    }
    append(&journal, b"three").unwrap();
    assert!(medium.names().len() <= 3, "{:?}", medium.names());
    assert_eq!(payloads(&journal), [&b"one"[..], b"three"]);
}

/// Undelivered records, and whether the disk can read them.
fn readable(journal: &Journal) -> Vec<bool> {
    journal.pending(None, usize::MAX, usize::MAX).iter().map(|record| record.payload.is_some()).collect()
}

#[test]
fn a_record_that_cannot_be_read_costs_no_other_and_is_there_when_it_can() {
    let medium = Medium::default();
    let journal = open(&medium);
    append(&journal, b"one").unwrap();
    let first = medium.length(0);
    let two = append(&journal, b"two").unwrap();
    medium.spoil(&medium.names()[0], first..medium.length(0));
    append(&journal, b"three").unwrap();
    assert_eq!(readable(&journal), [true, false, true]);
    assert!(journal.payload(two).is_err());
    assert_eq!(journal.status().damage, Damage::default(), "it may be readable later");
    medium.spoil_no_more();
    assert_eq!(payloads(&journal), [&b"one"[..], b"two", b"three"]);
}

#[test]
fn a_record_that_cannot_be_read_does_not_hold_all_segments() {
    for length in [10, 5000] {
        let medium = Medium::default();
        let journal = open(&medium);
        append(&journal, &vec![b'x'; length]).unwrap();
        medium.spoil(&medium.names()[0], 50..51);
        append(&journal, b"beside it").unwrap();
        assert_eq!(readable(&journal), [false, true]);
        for n in 0..1000 {
            let sequence = append(&journal, &[b'x'; 1000]).unwrap_or_else(|error| panic!("{n}: {error}"));
            journal.delivered(&[sequence]);
        }
        assert!(medium.names().len() <= 4, "{:?}", medium.names());
        assert_eq!(readable(&journal), [false, true]);
        // Nor when nobody has asked for it.
        close(journal);
        medium.spoil_no_more();
        assert!(payloads(&open(&medium)).contains(&vec![b'x'; length]));
    }
}

#[test]
fn an_old_record_that_is_found_unreadable_when_it_is_written_again_holds_nothing() {
    let medium = Medium::default();
    let journal = open(&medium);
    append(&journal, b"poison").unwrap();
    append(&journal, b"beside it").unwrap();
    medium.spoil(&medium.names()[0], 50..51);
    for _ in 0..1000 {
        let sequence = append(&journal, &[b'x'; 1000]).unwrap();
        journal.delivered(&[sequence]);
    }
    assert!(medium.names().len() <= 4, "{:?}", medium.names());
    assert_eq!(readable(&journal), [false, true]);
}

#[test]
fn a_file_that_cannot_be_read_at_start_is_left_alone_and_what_comes_meanwhile_does_not_take_its_place() {
    let medium = Medium::default();
    let journal = open(&medium);
    append(&journal, b"one").unwrap();
    append(&journal, b"two").unwrap();
    close(journal);
    medium.spoil(&medium.names()[0], 0..1);
    let journal = open(&medium);
    let status = journal.status();
    assert_eq!((status.pending, status.damage), (0, Damage { foreign: 1, ..Damage::default() }));
    let told = "00000000000000000001.journal: cannot be read: a sector cannot be read";
    assert_eq!(status.last_error.as_deref(), Some(told));
    append(&journal, b"three").unwrap();
    let four = append(&journal, b"four").unwrap();
    journal.delivered(&[four]);
    close(journal);
    medium.spoil_no_more();
    assert_eq!(payloads(&open(&medium)), [&b"one"[..], b"two", b"three"]);
}

#[test]
fn processes_that_can_read_nothing_of_each_other_lose_nothing_of_each_other() {
    let medium = Medium::default();
    for n in 0..4u8 {
        let journal = open(&medium);
        assert_eq!(journal.status().damage.foreign, usize::from(n));
        append(&journal, &[n]).unwrap();
        close(journal);
        medium.names().iter().for_each(|name| medium.spoil(name, 0..1));
    }
    medium.spoil_no_more();
    let mut all = payloads(&open(&medium));
    all.sort_unstable();
    assert_eq!(all, [[0], [1], [2], [3]]);
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Deliver { count: usize, skip: usize },
    Fail(usize),
    Close,
    Crash(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0usize..900).prop_map(Step::Append),
        4 => (1usize..9, 0usize..4).prop_map(|(count, skip)| Step::Deliver { count, skip }),
        2 => (1usize..12).prop_map(Step::Fail),
        1 => Just(Step::Close),
        2 => any::<u64>().prop_map(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_in_any_life(steps in proptest::collection::vec(step(), 1..60)) {
        let mut medium = Medium::default();
        let mut known = Known::default();
        let mut journal = small(&medium).unwrap();
        for step in steps {
            match step {
                Step::Append(length) => known.append(&journal, length),
                Step::Deliver { count, skip } => known.deliver(&journal, count, skip),
                Step::Fail(operation) => medium.fail([operation]),
                Step::Close => {
                    prop_assert!(journal.close(Duration::from_secs(60)));
                    medium.fail_no_more();
                    journal = small(&medium).unwrap();
                    known.check(&journal);
                }
                Step::Crash(mut random) => {
                    // The bits of the number, in turn.
                    medium = medium.crash(&mut |_| { random = random.rotate_left(1); random & 1 == 1 });
                    journal = small(&medium).unwrap();
                    known.check(&journal);
                }
            }
        }
        medium.fail_no_more();
        known.check(&journal);
    }
}

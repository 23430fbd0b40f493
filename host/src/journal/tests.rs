//! Does a journal lose nothing it has accepted? On a disk that forgets and fails as real ones do, and in real folders.

mod faults;
mod folder;
pub(crate) mod medium;

use futures_executor::block_on;

use super::*;
use medium::{Kind, Medium};

const LIMITS: Limits = Limits { bytes: 64 * 1024 };

fn open(medium: &Medium) -> Journal {
    open_within(medium, LIMITS)
}

fn open_within(medium: &Medium, limits: Limits) -> Journal {
    Journal::on(Arc::new(medium.clone()), limits, &mut |_, _| {}).expect("the medium can be read")
}

impl Journal {
    /// A journal on this disk, which a thread of its own writes.
    pub(crate) fn on_medium(
        medium: &Medium,
        limits: Limits,
        visit: &mut dyn FnMut(Sequence, &[u8]),
    ) -> Result<Self, io::Error> {
        Self::on(Arc::new(medium.clone()), limits, visit).map_err(|error| match error {
            StartError::Read(error) | StartError::Thread(error) => error,
        })
    }

    /// The same without a thread: nothing is written but by [`Hand::turn`].
    pub(crate) fn by_hand(
        medium: &Medium,
        limits: Limits,
        visit: &mut dyn FnMut(Sequence, &[u8]),
    ) -> io::Result<(Self, Hand)> {
        let (journal, writer) = Self::halves(Arc::new(medium.clone()), limits, visit)?;
        let ended = writer::Ended(Arc::clone(&journal.shared));
        Ok((journal, Hand { writer, ended }))
    }
}

/// What a thread does for a journal, one round after the other. Dropping it is the end of that thread, whatever it was
/// doing.
#[derive(Debug)]
pub(crate) struct Hand {
    writer: Writer,
    /// Dropped last: see [`Writer::run`].
    ended: writer::Ended,
}

impl Hand {
    /// One round, if there is anything to do; whether there was.
    pub(crate) fn turn(&mut self) -> bool {
        let works = self.ended.0.lock().has_work();
        if works {
            self.writer.round();
        }
        works
    }

    /// From now on a thread does it, until the journal is closed.
    pub(crate) fn let_go(self) -> thread::JoinHandle<()> {
        thread::spawn(move || {
            let Self { writer, ended } = self;
            writer.run();
            drop(ended);
        })
    }
}

fn append(journal: &Journal, payload: &[u8]) -> Result<Sequence, AppendError> {
    block_on(journal.append(payload.to_vec()))
}

fn payloads(journal: &Journal) -> Vec<Vec<u8>> {
    let records = journal.pending(None, usize::MAX, usize::MAX).into_iter();
    records.map(|it| it.payload.expect("the medium can be read")).collect()
}

/// Ends the journal as a process ends that nobody kills.
fn close(journal: Journal) {
    assert!(journal.close(Duration::from_secs(60)));
    drop(journal);
}

#[test]
fn what_was_accepted_is_pending_until_it_is_delivered() {
    let medium = Medium::default();
    for journal in [open(&medium), Journal::in_memory(LIMITS)] {
        let sequences: Vec<_> = (0..5u8).map(|n| append(&journal, &[n]).unwrap()).collect();
        assert_eq!(payloads(&journal), [[0], [1], [2], [3], [4]]);
        journal.delivered(&sequences[1..3]);
        assert_eq!(payloads(&journal), [[0], [3], [4]]);
        let after = journal.pending(Some(sequences[0]), 1, usize::MAX);
        assert_eq!(after, [Record { sequence: sequences[3], payload: Some(vec![3]) }]);
        assert_eq!(journal.pending(None, 9, 1).len(), 1, "one is taken however large it is");
        assert_eq!((journal.status().pending, journal.is_pending(sequences[1])), (3, false));
    }
}

#[test]
fn whoever_waits_is_told_of_what_comes() {
    for journal in [open(&Medium::default()), Journal::in_memory(LIMITS)] {
        assert_eq!(journal.wait(0, Some(Instant::now())), 0);
        let seen = thread::scope(|scope| {
            let waiting = scope.spawn(|| journal.wait(0, None));
            append(&journal, b"news").unwrap();
            waiting.join().unwrap()
        });
        assert_eq!(seen, 1);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| journal.wait(seen, None));
            journal.wake();
            assert_eq!(waiting.join().unwrap(), 2);
        });
    }
}

#[test]
fn a_journal_that_is_opened_again_knows_what_is_pending() {
    let medium = Medium::default();
    let journal = open(&medium);
    let first = append(&journal, b"first").unwrap();
    append(&journal, b"second").unwrap();
    journal.delivered(&[first]);
    close(journal);
    let mut seen = Vec::new();
    let journal = Journal::on(Arc::new(medium), LIMITS, &mut |_, payload: &[u8]| seen.push(payload.to_vec())).unwrap();
    assert_eq!(payloads(&journal), [b"second"]);
    assert_eq!(seen, [b"first".to_vec(), b"second".to_vec()]);
    assert!(append(&journal, b"third").unwrap() > first);
    assert_eq!(journal.status().damage, Damage::default());
}

#[test]
fn what_has_been_delivered_leaves_nothing_behind() {
    let medium = Medium::default();
    let journal = open(&medium);
    let sequences: Vec<_> = (0..200).map(|_| append(&journal, &[b'x'; 200]).unwrap()).collect();
    assert!(medium.names().len() > 3, "{:?}", medium.names());
    journal.delivered(&sequences);
    close(journal);
    assert_eq!(medium.names(), Vec::<String>::new());
}

#[test]
fn a_full_journal_refuses_and_takes_again_when_something_was_delivered() {
    let medium = Medium::default();
    for journal in [open(&medium), Journal::in_memory(LIMITS)] {
        let mut accepted = Vec::new();
        let error = loop {
            match append(&journal, &[b'x'; 1000]) {
                Ok(sequence) => accepted.push(sequence),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, AppendError::Full { limit: 65_536, .. }), "{error}");
        assert_eq!(payloads(&journal).len(), accepted.len());
        journal.delivered(&accepted);
        // The segments go soon, by the thread that writes.
        while journal.status().bytes > LIMITS.bytes / 2 {
            thread::yield_now();
        }
        append(&journal, &[b'x'; 1000]).unwrap();
    }
}

#[test]
fn a_record_that_is_too_long_is_refused() {
    let journal = Journal::in_memory(Limits { bytes: u64::MAX / 2 });
    assert!(append(&journal, &vec![0; MAX_PAYLOAD]).is_ok());
    assert!(matches!(append(&journal, &vec![0; MAX_PAYLOAD + 1]), Err(AppendError::TooLong(_))));
}

#[test]
fn a_closed_journal_takes_nothing() {
    let journal = open(&Medium::default());
    assert!(journal.close(Duration::from_secs(60)));
    assert!(matches!(append(&journal, b"late"), Err(AppendError::Closed)));
}

#[test]
fn many_that_wait_share_one_sync() {
    let medium = Medium::default();
    let journal = open(&medium);
    let gate = medium.hold();
    let waiting: Vec<Appended> = (0..100u8).map(|n| journal.append(vec![n])).collect();
    drop(gate);
    for appended in waiting {
        block_on(appended).unwrap();
    }
    // The first of them may have been taken alone.
    assert!(medium.syncs() <= 2, "{}", medium.syncs());
}

#[test]
fn one_record_that_cannot_be_delivered_does_not_hold_all_segments() {
    let medium = Medium::default();
    let journal = open(&medium);
    append(&journal, b"poison").unwrap();
    for _ in 0..1000 {
        let sequence = append(&journal, &[b'x'; 1000]).unwrap();
        journal.delivered(&[sequence]);
    }
    assert!(medium.names().len() <= 4, "{:?}", medium.names());
    assert_eq!(payloads(&journal), [b"poison"]);
    assert!(payloads(&open(&medium.crash(&mut |_| false))).contains(&b"poison".to_vec()));
}

#[test]
fn a_tail_that_is_torn_anywhere_is_cut_and_costs_nothing_else() {
    let medium = Medium::default();
    let journal = open(&medium);
    append(&journal, b"one").unwrap();
    append(&journal, b"two").unwrap();
    let name = medium.names()[0].clone();
    let before = medium.read(&name).unwrap().len();
    append(&journal, b"the last").unwrap();
    close(journal);
    let whole = medium.read(&name).unwrap();
    for length in before..whole.len() {
        let medium = Medium::with(&name, &whole[..length]);
        let journal = open(&medium);
        assert_eq!(payloads(&journal), [b"one", b"two"], "cut at {length}");
        assert_eq!(journal.status().damage, Damage { torn: usize::from(length > before), ..Damage::default() });
        append(&journal, b"next").unwrap();
        close(journal);
        let journal = open(&medium);
        assert_eq!(payloads(&journal), [&b"one"[..], b"two", b"next"], "cut at {length}");
        assert_eq!(journal.status().damage, Damage::default(), "it was cut for good");
    }
}

#[test]
fn a_damaged_record_is_counted_and_costs_no_other() {
    let medium = Medium::default();
    let journal = open(&medium);
    append(&journal, b"one").unwrap();
    append(&journal, b"two").unwrap();
    append(&journal, b"three").unwrap();
    let name = medium.names()[0].clone();
    medium.change(&name, |bytes| {
        let at = bytes.windows(3).position(|it| it == b"two").unwrap();
        bytes[at] = b'T';
    });
    let journal_of_next_process = open(&medium);
    assert_eq!(payloads(&journal_of_next_process), [&b"one"[..], b"three"]);
    assert_eq!(journal_of_next_process.status().damage, Damage { corrupt: 1, ..Damage::default() });
    // The one that wrote it notices as well.
    assert_eq!(payloads(&journal), [&b"one"[..], b"three"]);
    assert_eq!(journal.status().damage.corrupt, 1);
}

#[test]
fn files_of_a_newer_version_are_left_alone() {
    let mut newer = format::Header::write(7).to_vec();
    newer[8] = 2;
    let name = "00000000000000000005.journal";
    let medium = Medium::with(name, &newer);
    let journal = open(&medium);
    assert_eq!(journal.status().damage, Damage { foreign: 1, ..Damage::default() });
    let sequence = append(&journal, b"mine").unwrap();
    journal.delivered(&[sequence]);
    close(journal);
    assert_eq!((medium.names(), medium.read(name).unwrap()), (vec![name.to_owned()], newer));
}

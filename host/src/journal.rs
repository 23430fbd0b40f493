//! A journal: what has been accepted and not yet passed on, kept so that the end of the process loses nothing. A leaf:
//! bytes in, bytes out.
//!
//! [`Journal::append`] is done when its record is on the medium; many that wait share one `fdatasync`. Whoever takes
//! records away asks for [`Journal::pending`] ones and tells of [`Journal::delivered`] ones. That is written down as well
//! but not waited for, so after a crash a record may be pending again: delivery is at least once.
//!
//! On disk a journal is a folder of segments (format.rs), written by one thread (writer.rs), read when it is opened
//! (replay.rs). A segment goes when all its records have been delivered. Nothing is dropped: a journal that is full, or
//! whose disk fails, refuses new records until that is over. A journal in memory is the same without a disk.

mod append;
mod disk;
mod format;
mod index;
mod read;
mod replay;
mod writer;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::clock;

use append::Append;
use disk::{Disk, Folder};
use index::{Index, Pending, Place};
use writer::Writer;

pub use append::{AppendError, Appended};
pub use format::MAX_PAYLOAD;
pub use read::Record;

/// Which record of a journal. Later records have higher ones, also after the journal was opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sequence(u64);

/// How much a journal may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// All segments, or all payloads in memory, in bytes. Beyond it records are refused.
    pub bytes: u64,
}

/// A segment is closed when it has this many bytes. Reading one takes some milliseconds, and this much may wait behind
/// one record.
const SEGMENT: u64 = 8 * 1024 * 1024;

/// How long a journal that is dropped waits for its thread.
const DROP_PATIENCE: Duration = Duration::from_secs(1);

impl Limits {
    /// A small journal has small segments, or one of them could fill it with what has long been delivered.
    fn segment(self) -> u64 {
        SEGMENT.min(self.bytes / 8)
    }
}

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the folder {} cannot be used", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error(
        "the folder {} is used by another process; give each host a data directory of its own, or wait until the other \
         has ended",
        path.display()
    )]
    InUse { path: PathBuf },
    #[error("cannot start a thread that writes")]
    Thread(#[source] io::Error),
}

/// How a journal is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Records that have not been delivered.
    pub pending: usize,
    /// What the journal takes, on disk or in memory.
    pub bytes: u64,
    /// How long the oldest record has been waiting.
    pub oldest: Option<Duration>,
    pub damage: Damage,
    /// What went wrong last with the disk.
    pub last_error: Option<String>,
}

/// What was found when a journal was opened, or read later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Segments that end in the middle of an entry, as after a crash. What was there had not been accepted.
    pub torn: usize,
    /// Places where entries were and cannot be read.
    pub corrupt: usize,
    /// Files that are not ours, of a newer version, or that cannot be read: left alone.
    pub foreign: usize,
}

/// See the top of this file.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    disk: Option<Arc<dyn Disk>>,
    limits: Limits,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Something in the state has changed that a thread may wait for.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    index: Index,
    /// The sequence of the next record.
    next: u64,
    /// Records that wait for the thread that writes.
    queue: VecDeque<Append>,
    queued: u64,
    /// Records that have been delivered, which is still to be written down.
    delivered: Vec<Sequence>,
    /// Those of them that could not be written down; tried again in the next round, which they do not start.
    unwritten: Vec<Sequence>,
    /// Counts what a reader may wait for: see [`Journal::wait`].
    news: u64,
    closing: bool,
    /// Whether nobody writes any more.
    ended: bool,
    damage: Damage,
    last_error: Option<String>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal {
    /// Opens the journal of a folder, which is made if need be, and reads it. `visit` sees all records that are still
    /// there, the delivered ones as well.
    ///
    /// # Errors
    /// If the folder cannot be used, or another process uses it. Damage is no error: what can be read is read, and the rest
    /// counted.
    pub fn open(folder: &Path, limits: Limits, visit: &mut dyn FnMut(Sequence, &[u8])) -> Result<Self, OpenError> {
        let disk = Folder::open(folder)?;
        Self::on(Arc::new(disk), limits, visit).map_err(|error| match error {
            StartError::Read(source) => OpenError::Folder { path: folder.to_owned(), source },
            StartError::Thread(source) => OpenError::Thread(source),
        })
    }

    fn on(disk: Arc<dyn Disk>, limits: Limits, visit: &mut dyn FnMut(Sequence, &[u8])) -> Result<Self, StartError> {
        let (journal, writer) = Self::halves(disk, limits, visit).map_err(StartError::Read)?;
        let thread = thread::Builder::new().name("weir-journal".to_owned());
        thread.spawn(move || writer.run()).map_err(StartError::Thread)?;
        Ok(journal)
    }

    /// The journal as its users see it, and what writes it: for a thread to run.
    fn halves(
        disk: Arc<dyn Disk>,
        limits: Limits,
        visit: &mut dyn FnMut(Sequence, &[u8]),
    ) -> io::Result<(Self, Writer)> {
        let state = replay::read(&*disk, visit)?;
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let writer = Writer::new(Arc::clone(&disk), Arc::clone(&shared), limits.segment());
        Ok((Self { shared, disk: Some(disk), limits }, writer))
    }

    /// A journal that ends with the process.
    pub fn in_memory(limits: Limits) -> Self {
        let state = Mutex::new(State { ended: true, ..State::default() });
        Self { shared: Arc::new(Shared { state, changed: Condvar::new() }), disk: None, limits }
    }

    /// Whether records outlive the process.
    pub fn is_durable(&self) -> bool {
        self.disk.is_some()
    }

    /// Accepts a record. The result is ready when the record is on the medium, or it is certain that it is not accepted;
    /// whoever stops waiting does not know which. After an error it may still turn out to be there when the journal is
    /// opened again.
    pub fn append(&self, payload: Vec<u8>) -> Appended {
        let (done, waiting) = oneshot::channel();
        let append = Append { time: clock::since_1970(), payload, done };
        let mut state = self.shared.lock();
        if let Err(error) = self.admit(&state, append.payload.len()) {
            return Appended::Known(Some(Err(error)));
        }
        if self.disk.is_none() {
            let sequence = state.remember(append);
            self.shared.changed.notify_all();
            return Appended::Known(Some(Ok(sequence)));
        }
        state.queued += format::record_size(append.payload.len()) as u64;
        state.queue.push_back(append);
        self.shared.changed.notify_all();
        Appended::Waiting(waiting)
    }

    fn admit(&self, state: &State, length: usize) -> Result<(), AppendError> {
        if length > MAX_PAYLOAD {
            return Err(AppendError::TooLong(length));
        }
        if state.closing || self.disk.is_some() && state.ended {
            return Err(AppendError::Closed);
        }
        let (bytes, limit) = (state.index.bytes() + state.queued, self.limits.bytes);
        let fits = bytes + format::record_size(length) as u64 <= limit;
        if fits { Ok(()) } else { Err(AppendError::Full { bytes, limit }) }
    }

    /// These records have been delivered, and are pending no more.
    pub fn delivered(&self, sequences: &[Sequence]) {
        let mut state = self.shared.lock();
        for sequence in sequences {
            if state.index.remove(*sequence) && self.disk.is_some() {
                state.delivered.push(*sequence);
            }
        }
        self.shared.changed.notify_all();
    }

    /// Whether this record has not been delivered.
    pub fn is_pending(&self, sequence: Sequence) -> bool {
        self.shared.lock().index.pending().contains_key(&sequence)
    }

    pub fn status(&self) -> Status {
        let state = self.shared.lock();
        let oldest = state.index.pending().values().next();
        Status {
            pending: state.index.pending().len(),
            bytes: state.index.bytes(),
            oldest: oldest.map(|it| Duration::from_millis(clock::since_1970().saturating_sub(it.time))),
            damage: state.damage,
            last_error: state.last_error.clone(),
        }
    }

    /// Writes down what is left to write, and ends. Records that come later are refused. Blocks, for at most `within`;
    /// whether all was written by then.
    pub fn close(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let mut state = self.shared.lock();
        state.closing = true;
        self.shared.changed.notify_all();
        while !state.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close(DROP_PATIENCE);
    }
}

impl State {
    fn sequence(&mut self) -> Sequence {
        self.next += 1;
        Sequence(self.next)
    }

    /// The disk could not read a record.
    fn unread(&mut self, record: &Pending, error: &io::Error) {
        let Place::Segment { number, .. } = record.place else { return };
        self.last_error = Some(format!("{}: a record cannot be read: {error}", replay::file_name(number)));
        self.index.segments.get_mut(&number).into_iter().for_each(|segment| segment.unreadable = true);
    }

    fn remember(&mut self, append: Append) -> Sequence {
        let sequence = self.sequence();
        let (size, place) = (append.payload.len(), Place::Memory(append.payload.into()));
        self.index.insert(sequence, Pending { time: append.time, size, place });
        self.news += 1;
        sequence
    }
}

/// Why a journal on a disk cannot start.
#[derive(Debug)]
enum StartError {
    Read(io::Error),
    Thread(io::Error),
}

#[cfg(test)]
pub(crate) mod tests;

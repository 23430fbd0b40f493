//! Parcels on disk: what could not be sent yet, and must outlive a long absence of its destination and the process.
//!
//! A journal keeps them (journal.rs). At its bound the oldest make room, since what is new tells more of what is wrong now;
//! how much was given up is always known.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Buf, BufMut, Bytes};

use super::parcel::{Parcel, Signal};
use crate::journal::{AppendError, Journal, Limits, OpenError, Sequence};

/// How a parcel begins on disk: version, items, milliseconds since 1970.
const HEAD: usize = 1 + 4 + 8;
const VERSION: u8 = 1;

/// What is written down when the process ends is little.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Spool {
    signal: Signal,
    journal: Journal,
    /// What all parcels may take, in bytes.
    limit: u64,
    longest: Duration,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    parcels: BTreeMap<Sequence, Place>,
    items: u64,
    bytes: u64,
}

/// A parcel that is there.
#[derive(Clone, Copy, Debug)]
struct Place {
    items: u32,
    /// Milliseconds since 1970.
    time: u64,
    bytes: u64,
    /// Whether it is being sent.
    flying: bool,
}

/// What was taken out to be sent.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) sequence: Sequence,
    pub(super) parcel: Parcel,
}

/// How full it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fill {
    pub(super) items: u64,
    pub(super) bytes: u64,
    /// How long the oldest has been there.
    pub(super) oldest: Option<Duration>,
}

impl Spool {
    /// Opens the folder, and finds what an earlier process left.
    ///
    /// # Errors
    /// If the folder cannot be used, or another process uses it.
    pub(super) fn open(folder: &Path, signal: Signal, limit: u64, longest: Duration) -> Result<Self, OpenError> {
        let mut found = BTreeMap::new();
        // The bound is kept here, where something can be given up. The journal counts whole files, which go a little after
        // the last of their records has been sent, and must not be full before that.
        let limits = Limits { bytes: limit.saturating_mul(4) };
        let journal = Journal::open(folder, limits, &mut |sequence, payload| {
            if let Some((items, time)) = head(payload) {
                found.insert(sequence, Place { items, time, bytes: payload.len() as u64, flying: false });
            }
        })?;
        let mut held = Held::default();
        for (sequence, place) in found {
            if journal.is_pending(sequence) {
                held.insert(sequence, place);
            }
        }
        Ok(Self { signal, journal, limit, longest, held: Mutex::new(held) })
    }

    /// Keeps a parcel; gives how many items were given up for it.
    ///
    /// # Errors
    /// If the disk does not take it, or it is larger than a record may be.
    pub(super) async fn keep(&self, parcel: &Parcel) -> Result<u64, AppendError> {
        let time = now();
        let mut payload = Vec::with_capacity(HEAD + parcel.body.len());
        payload.put_u8(VERSION);
        payload.put_u32_le(parcel.items);
        payload.put_u64_le(time);
        payload.extend_from_slice(&parcel.body);
        let bytes = payload.len() as u64;
        let given_up = self.make_room(bytes);
        let sequence = self.journal.append(payload).await?;
        self.lock().insert(sequence, Place { items: parcel.items, time, bytes, flying: false });
        Ok(given_up)
    }

    /// Lets the oldest go until so many bytes fit; how many items those were. What is being sent stays.
    fn make_room(&self, bytes: u64) -> u64 {
        let mut held = self.lock();
        let mut gone = Vec::new();
        let mut items = 0;
        while held.bytes + bytes > self.limit
            && let Some((sequence, place)) = held.parcels.iter().find(|(_, it)| !it.flying).map(|(k, v)| (*k, *v))
        {
            held.remove(sequence);
            gone.push(sequence);
            items += u64::from(place.items);
        }
        drop(held);
        self.journal.delivered(&gone);
        items
    }

    /// The oldest parcel that is not being sent already; it counts as being sent until [`Spool::sent`] or
    /// [`Spool::landed`]. Beside it how many items were too old, or could not be read, and are gone.
    pub(super) fn take(&self) -> (Option<Taken>, u64) {
        let mut lost = 0;
        loop {
            let found = {
                let mut held = self.lock();
                let next = held.parcels.iter_mut().find(|(_, it)| !it.flying);
                next.map(|(sequence, place)| {
                    place.flying = true;
                    (*sequence, *place)
                })
            };
            let Some((sequence, place)) = found else { return (None, lost) };
            let age = Duration::from_millis(now().saturating_sub(place.time));
            match self.read(sequence) {
                Ok(Some(parcel)) if age <= self.longest => return (Some(Taken { sequence, parcel }), lost),
                Ok(_) => {
                    self.sent(sequence);
                    lost += u64::from(place.items);
                }
                // It may be readable later.
                Err(error) => {
                    tracing::warn!(%error, "what waits to be sent cannot be read");
                    self.landed(sequence);
                    return (None, lost);
                }
            }
        }
    }

    fn read(&self, sequence: Sequence) -> io::Result<Option<Parcel>> {
        let Some(payload) = self.journal.payload(sequence)? else { return Ok(None) };
        let Some((items, _)) = head(&payload) else { return Ok(None) };
        let mut body = Bytes::from(payload);
        body.advance(HEAD);
        Ok(Some(Parcel { signal: self.signal, items, body }))
    }

    /// It need not be kept any longer.
    pub(super) fn sent(&self, sequence: Sequence) {
        self.lock().remove(sequence);
        self.journal.delivered(&[sequence]);
    }

    /// It is not being sent any more, and stays.
    pub(super) fn landed(&self, sequence: Sequence) {
        if let Some(place) = self.lock().parcels.get_mut(&sequence) {
            place.flying = false;
        }
    }

    /// Nothing is being sent any more.
    pub(super) fn all_landed(&self) {
        self.lock().parcels.values_mut().for_each(|place| place.flying = false);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().parcels.is_empty()
    }

    pub(super) fn fill(&self) -> Fill {
        let held = self.lock();
        let oldest = held.parcels.values().next().map(|it| Duration::from_millis(now().saturating_sub(it.time)));
        Fill { items: held.items, bytes: held.bytes, oldest }
    }

    pub(super) fn close(&self) {
        self.journal.close(CLOSE_PATIENCE);
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn insert(&mut self, sequence: Sequence, place: Place) {
        self.items += u64::from(place.items);
        self.bytes += place.bytes;
        self.parcels.insert(sequence, place);
    }

    fn remove(&mut self, sequence: Sequence) {
        if let Some(place) = self.parcels.remove(&sequence) {
            self.items -= u64::from(place.items);
            self.bytes -= place.bytes;
        }
    }
}

/// Items and time of what was kept; none if a newer version wrote it.
fn head(mut payload: &[u8]) -> Option<(u32, u64)> {
    if payload.len() < HEAD || payload.get_u8() != VERSION {
        return None;
    }
    Some((payload.get_u32_le(), payload.get_u64_le()))
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
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
        let all = std::iter::from_fn(|| spool.take().0).map(|it| it.parcel.items).collect();
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
        let first = spool.take().0.unwrap();
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
        let first = spool.take().0.unwrap();
        assert_eq!(block_on(spool.keep(&parcel(3, 400))).unwrap(), 2);
        assert_eq!(spool.take().0.unwrap().parcel.items, 3);
        assert!(spool.take().0.is_none());
        spool.landed(first.sequence);
        assert_eq!(spool.take().0.unwrap().parcel.items, 1);
    }

    #[test]
    fn what_is_too_old_goes_and_is_counted() {
        let folder = TempDir::new().unwrap();
        let spool = Spool::open(folder.path(), Signal::Traces, 1000, Duration::ZERO).unwrap();
        block_on(spool.keep(&parcel(7, 10))).unwrap();
        while now() == spool.lock().parcels.values().next().unwrap().time {
            std::thread::yield_now();
        }
        let (taken, lost) = spool.take();
        assert!(taken.is_none());
        assert_eq!((lost, spool.fill()), (7, Fill::default()));
    }
}

//! Parcels on disk: what could not be sent yet, and must outlive a long absence of its destination and the process.
//!
//! A journal keeps them (journal.rs). At its bound the oldest make room, since what is new tells more of what is wrong now;
//! how much was given up is always known.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes};

use super::parcel::{Parcel, Signal};
use crate::clock::{now, since_1970};
use crate::journal::{AppendError, Journal, Limits, OpenError, Sequence};

/// How a parcel begins on disk: version, items, milliseconds since 1970.
const HEAD: usize = 1 + 4 + 8;
const VERSION: u8 = 1;

/// What is written down when the process ends is little.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// How long a parcel is left in peace that the disk could not read: it may take seconds to say so.
const REREAD: Duration = Duration::from_secs(30);

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
    /// Those that the disk could not read, and when it is asked again.
    unread: BTreeMap<Sequence, Instant>,
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

/// What came of a look for the next parcel.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) taken: Option<Taken>,
    /// Items that were too old, or damaged, and are gone.
    pub(super) lost: u64,
    /// Why the disk cannot read some, if it could read all until now.
    pub(super) unread: Option<io::Error>,
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
        Self::on(signal, limit, longest, |limits, visit| Journal::open(folder, limits, visit))
    }

    /// The same, in a journal that `open` opens: with these limits, and so that all that is in it is seen.
    pub(super) fn on<E>(
        signal: Signal,
        limit: u64,
        longest: Duration,
        open: impl FnOnce(Limits, &mut dyn FnMut(Sequence, &[u8])) -> Result<Journal, E>,
    ) -> Result<Self, E> {
        let mut found = BTreeMap::new();
        // The bound is kept here, where something can be given up. The journal counts whole files, which go a little after
        // the last of their records has been sent, and must not be full before that.
        let limits = Limits { bytes: limit.saturating_mul(4) };
        let journal = open(limits, &mut |sequence, payload| {
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
        let time = since_1970();
        let mut payload = Vec::with_capacity(HEAD + parcel.body.len());
        payload.put_u8(VERSION);
        payload.put_u32_le(parcel.items);
        payload.put_u64_le(time);
        payload.extend_from_slice(&parcel.body);
        let bytes = payload.len() as u64;
        let sequence = self.journal.append(payload).await?;
        self.lock().insert(sequence, Place { items: parcel.items, time, bytes, flying: false });
        // Not before: for what the disk does not take, nothing is to be given up.
        Ok(self.make_room(sequence))
    }

    /// Lets the oldest before this one go until all fits; how many items those were. What is being sent stays.
    fn make_room(&self, kept: Sequence) -> u64 {
        let mut held = self.lock();
        let mut gone = Vec::new();
        let mut items = 0;
        while held.bytes > self.limit
            && let Some((sequence, place)) =
                held.parcels.range(..kept).find(|(_, it)| !it.flying).map(|(k, v)| (*k, *v))
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
    /// [`Spool::landed`]. One that the disk cannot read is passed over for a while: it may be readable later, and keeps back
    /// none behind it.
    pub(super) fn take(&self) -> Look {
        let mut look = Look::default();
        loop {
            let Some((sequence, place)) = self.lock().lift(now()) else { return look };
            let age = Duration::from_millis(since_1970().saturating_sub(place.time));
            // First, so that what cannot be read does not stay for ever.
            let read = if age > self.longest { Ok(None) } else { self.read(sequence) };
            match read {
                Ok(Some(parcel)) => {
                    self.lock().unread.remove(&sequence);
                    look.taken = Some(Taken { sequence, parcel });
                    return look;
                }
                Ok(None) => {
                    self.sent(sequence);
                    look.lost += u64::from(place.items);
                }
                Err(error) => {
                    self.landed(sequence);
                    let mut held = self.lock();
                    let is_first = held.unread.is_empty();
                    held.unread.insert(sequence, now() + REREAD);
                    look.unread = look.unread.or_else(|| is_first.then_some(error));
                }
            }
        }
    }

    /// When the disk is asked again for a parcel that it could not read.
    pub(super) fn reread_at(&self) -> Option<Instant> {
        self.lock().unread.values().min().copied()
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

    /// Whether it has anything that can be read.
    pub(super) fn has_parcels(&self) -> bool {
        let held = self.lock();
        held.parcels.len() > held.unread.len()
    }

    pub(super) fn fill(&self) -> Fill {
        let held = self.lock();
        let oldest = held.parcels.values().next().map(|it| Duration::from_millis(since_1970().saturating_sub(it.time)));
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

    /// The oldest parcel that can be sent now; it counts as being sent.
    fn lift(&mut self, now: Instant) -> Option<(Sequence, Place)> {
        let Self { parcels, unread, .. } = self;
        let is_left = |sequence| unread.get(sequence).is_some_and(|time| *time > now);
        let (sequence, place) = parcels.iter_mut().find(|(sequence, it)| !it.flying && !is_left(sequence))?;
        place.flying = true;
        Some((*sequence, *place))
    }

    fn remove(&mut self, sequence: Sequence) {
        self.unread.remove(&sequence);
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

#[cfg(test)]
mod tests;

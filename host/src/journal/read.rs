//! Takes records out of a journal again.

use std::io;
use std::sync::PoisonError;
use std::time::Instant;

use super::disk::Disk;
use super::format::{self, Entry};
use super::index::{Pending, Place};
use super::replay::file_name;
use super::{Journal, Sequence};

/// A record that has not been delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub sequence: Sequence,
    /// None: the disk cannot read it now, and perhaps never again.
    pub payload: Option<Vec<u8>>,
}

impl Journal {
    /// The oldest undelivered records after this one: at most so many, and no more once they have so many bytes together.
    /// A record that is damaged is none: it is left out from now on, and counted.
    pub fn pending(&self, after: Option<Sequence>, count: usize, bytes: usize) -> Vec<Record> {
        let after = after.map_or(0, |it| it.0 + 1);
        let sequences: Vec<Sequence> = {
            let state = self.shared.lock();
            let mut total = 0;
            let fitting = state.index.pending().range(Sequence(after)..).take(count).take_while(|(_, record)| {
                let first = total == 0;
                total += record.size;
                first || total <= bytes
            });
            fitting.map(|(sequence, _)| *sequence).collect()
        };
        let mut records = Vec::with_capacity(sequences.len());
        for sequence in sequences {
            // One that the disk cannot read must not keep back those behind it.
            let payload = self.payload(sequence).map_or(Some(None), |read| read.map(Some));
            records.extend(payload.map(|payload| Record { sequence, payload }));
        }
        records
    }

    /// One undelivered record, if it is one and can be read.
    ///
    /// # Errors
    /// If the disk cannot be read.
    pub fn payload(&self, sequence: Sequence) -> io::Result<Option<Vec<u8>>> {
        let mut before = None;
        loop {
            let (record, salt) = {
                let state = self.shared.lock();
                let Some(record) = state.index.pending().get(&sequence).cloned() else { return Ok(None) };
                let salt = match &record.place {
                    Place::Memory(payload) => return Ok(Some(payload.to_vec())),
                    Place::Segment { number, .. } => state.index.segments.get(number).map_or(0, |it| it.salt),
                };
                (record, salt)
            };
            let Some(disk) = &self.disk else { return Ok(None) };
            match payload(&**disk, sequence, &record, salt) {
                Ok(Some(payload)) => return Ok(Some(payload)),
                // It may just have been moved to another segment.
                _ if before.replace(record.clone()).as_ref() != Some(&record) => {}
                Ok(None) => {
                    let mut state = self.shared.lock();
                    if state.index.pending().get(&sequence) == Some(&record) {
                        state.index.remove(sequence);
                        state.damage.corrupt += 1;
                    }
                    return Ok(None);
                }
                Err(error) => {
                    self.shared.lock().unread(&record, &error);
                    return Err(error);
                }
            }
        }
    }

    /// Blocks until records have come that were not there when this was called last, [`Journal::wake`] was called, or
    /// `until`; without it, for ever. `seen` is what this gave last, at first 0.
    pub fn wait(&self, seen: u64, until: Option<Instant>) -> u64 {
        let mut state = self.shared.lock();
        while state.news == seen {
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => break,
                Some(left) => self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        state.news
    }

    /// Lets whoever waits look around.
    pub fn wake(&self) {
        self.shared.lock().news += 1;
        self.shared.changed.notify_all();
    }
}

/// The payload of a record; none if something else is there.
pub(super) fn payload(disk: &dyn Disk, sequence: Sequence, record: &Pending, salt: u32) -> io::Result<Option<Vec<u8>>> {
    let (number, offset) = match &record.place {
        Place::Memory(payload) => return Ok(Some(payload.to_vec())),
        Place::Segment { number, offset } => (*number, *offset),
    };
    let bytes = match disk.read_at(&file_name(number), offset, record.size) {
        Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound) => {
            return Ok(None);
        }
        other => other?,
    };
    Ok(match format::read_entry(&bytes, salt) {
        Some((Entry::Record { sequence: found, payload, .. }, _)) if found == sequence => Some(payload.to_vec()),
        _ => None,
    })
}

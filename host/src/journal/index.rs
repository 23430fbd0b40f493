//! What a journal holds, as it is known in memory: where each undelivered record is, and what each segment has. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Sequence;

/// Where a payload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Memory(Arc<[u8]>),
    Segment {
        number: u64,
        /// Of the entry within the file.
        offset: u64,
    },
}

/// A record that has not been delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    /// When it came, in milliseconds since 1970.
    pub(super) time: u64,
    /// What it takes, in bytes: the entry on disk, or the payload in memory.
    pub(super) size: usize,
    pub(super) place: Place,
}

/// A file of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) salt: u32,
    /// Length of the file.
    pub(super) bytes: u64,
    /// Undelivered records, and what they take.
    pub(super) pending: usize,
    pub(super) pending_bytes: u64,
    /// Whether it is still written to.
    pub(super) open: bool,
    /// Whether it has any entry that counts. One that a failure of the disk left behind has none.
    pub(super) used: bool,
    /// Whether it is left alone: its file is not ours, of a newer version, or could not be read when the journal was opened.
    pub(super) foreign: bool,
    /// Whether the disk could not read a record of it. Then it holds no segment behind it: it may stay for ever, and the
    /// journal must not fill. What of it has been delivered may be pending again when the journal is opened.
    pub(super) unreadable: bool,
}

#[derive(Debug, Default)]
pub(super) struct Index {
    pending: BTreeMap<Sequence, Pending>,
    /// By their numbers, so the oldest first.
    pub(super) segments: BTreeMap<u64, Segment>,
    /// Payloads in memory.
    memory: u64,
}

impl Index {
    pub(super) fn pending(&self) -> &BTreeMap<Sequence, Pending> {
        &self.pending
    }

    /// What the journal takes, on disk or in memory.
    pub(super) fn bytes(&self) -> u64 {
        self.memory + self.segments.values().map(|segment| segment.bytes).sum::<u64>()
    }

    /// Adds a record. One that is there already has been written a second time, and from now on counts where it was
    /// written last.
    pub(super) fn insert(&mut self, sequence: Sequence, record: Pending) {
        self.account(&record, true);
        if let Some(earlier) = self.pending.insert(sequence, record) {
            self.account(&earlier, false);
        }
    }

    /// Forgets a record; whether it was there.
    pub(super) fn remove(&mut self, sequence: Sequence) -> bool {
        let Some(record) = self.pending.remove(&sequence) else { return false };
        self.account(&record, false);
        true
    }

    fn account(&mut self, record: &Pending, more: bool) {
        let size = record.size as u64;
        match &record.place {
            Place::Memory(_) if more => self.memory += size,
            Place::Memory(_) => self.memory -= size,
            Place::Segment { number, .. } => {
                let segment = self.segments.entry(*number).or_default();
                segment.used = true;
                if more {
                    (segment.pending, segment.pending_bytes) = (segment.pending + 1, segment.pending_bytes + size);
                } else {
                    (segment.pending, segment.pending_bytes) = (segment.pending - 1, segment.pending_bytes - size);
                }
            }
        }
    }

    /// A segment that nobody needs: one that was never used, or the oldest. What later ones say of delivery concerns those
    /// before them.
    pub(super) fn removable(&self) -> Option<u64> {
        let unused = self.segments.iter().find(|(_, it)| !it.used && !it.open && !it.foreign);
        if let Some((number, _)) = unused {
            return Some(*number);
        }
        for (number, segment) in self.segments.iter().filter(|(_, it)| !it.foreign && !it.open) {
            if segment.pending == 0 {
                return Some(*number);
            }
            if !segment.unreadable {
                return None;
            }
        }
        None
    }

    /// The few old records that hold all segments behind them: those of the oldest segment, if they take at most
    /// `bytes` and a later segment could go with it.
    pub(super) fn stuck(&self, bytes: u64) -> Option<(u64, Vec<(Sequence, Pending)>)> {
        let (oldest, segment) = self.oldest()?;
        let mut later = self.segments.range(oldest + 1..).filter(|(_, it)| !it.open && !it.foreign);
        if segment.pending_bytes > bytes || !later.any(|(_, it)| it.pending == 0) {
            return None;
        }
        let is_there = |it: &Pending| matches!(it.place, Place::Segment { number, .. } if number == oldest);
        let records = self.pending.iter().filter(|(_, it)| is_there(it));
        Some((oldest, records.map(|(sequence, it)| (*sequence, it.clone())).collect()))
    }

    /// The oldest that holds those behind it.
    fn oldest(&self) -> Option<(u64, &Segment)> {
        let (number, segment) = self.segments.iter().find(|(_, segment)| !segment.foreign && !segment.unreadable)?;
        (!segment.open).then_some((*number, segment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: u64) -> Pending {
        Pending { time: 0, size: 10, place: Place::Segment { number, offset: 0 } }
    }

    /// Records `(sequence, segment)`; the last segment is open.
    fn index(records: &[(u64, u64)]) -> Index {
        let mut index = Index::default();
        for (sequence, number) in records {
            index.insert(Sequence(*sequence), at(*number));
        }
        if let Some(mut last) = index.segments.last_entry() {
            last.get_mut().open = true;
        }
        index
    }

    #[test]
    fn a_segment_goes_when_all_its_records_and_all_segments_before_it_have_gone() {
        let mut index = index(&[(1, 1), (2, 1), (3, 2), (4, 3)]);
        for (sequence, expected) in [(1, None), (3, None), (2, Some(1))] {
            assert!(index.remove(Sequence(sequence)));
            assert_eq!(index.removable(), expected, "after {sequence}");
        }
        assert!(!index.remove(Sequence(2)));
        index.segments.remove(&1);
        assert_eq!(index.removable(), Some(2));
        index.segments.remove(&2);
        index.remove(Sequence(4));
        assert_eq!(index.removable(), None, "the last one is still written to");
    }

    #[test]
    fn a_few_old_records_hold_others_only_if_these_could_go() {
        let mut index = index(&[(1, 1), (2, 2), (3, 3)]);
        assert_eq!(index.stuck(100), None);
        index.remove(Sequence(2));
        assert_eq!(index.stuck(100), Some((1, vec![(Sequence(1), at(1))])));
        assert_eq!(index.stuck(9), None, "more than a few");
        index.insert(Sequence(1), at(3));
        assert_eq!(index.removable(), Some(1), "written again, it is not needed where it was");
    }

    #[test]
    fn files_that_are_left_alone_hold_nothing() {
        let mut index = index(&[(1, 2), (2, 3)]);
        index.segments.insert(1, Segment { foreign: true, bytes: 7, ..Segment::default() });
        index.remove(Sequence(1));
        assert_eq!((index.removable(), index.bytes()), (Some(2), 7));
    }

    #[test]
    fn a_file_that_cannot_be_read_holds_nothing_and_goes_with_its_last_record() {
        let mut index = index(&[(1, 1), (2, 2), (3, 3), (4, 4)]);
        index.segments.get_mut(&1).unwrap().unreadable = true;
        index.remove(Sequence(3));
        assert_eq!(index.removable(), None, "what it says may concern what can be read");
        assert_eq!(index.stuck(100), Some((2, vec![(Sequence(2), at(2))])));
        index.remove(Sequence(2));
        assert_eq!(index.removable(), Some(2));
        index.remove(Sequence(1));
        assert_eq!(index.removable(), Some(1));
    }

    #[test]
    fn a_file_that_was_never_used_goes_at_once() {
        let mut index = index(&[(1, 1), (2, 4)]);
        index.segments.insert(2, Segment::default());
        assert_eq!(index.removable(), Some(2));
    }
}

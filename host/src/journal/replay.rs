//! Reads a journal when it is opened: which records are pending, where they are, and what is damaged.

use std::collections::BTreeSet;
use std::io;

use super::disk::Disk;
use super::format::{Entry, Found, Header, Scan, record_size};
use super::index::{Pending, Place, Segment};
use super::{Sequence, State};

const SUFFIX: &str = ".journal";

/// The file of a segment. Names of the same length, so that people see them in their order.
pub(super) fn file_name(number: u64) -> String {
    format!("{number:020}{SUFFIX}")
}

fn number_of(name: &str) -> Option<u64> {
    let number = name.strip_suffix(SUFFIX)?.parse().ok()?;
    (file_name(number) == name).then_some(number)
}

/// The state of a journal that nobody has written to since it was opened.
pub(super) fn read(disk: &dyn Disk, visit: &mut dyn FnMut(Sequence, &[u8])) -> io::Result<State> {
    let mut numbers: Vec<u64> = disk.list()?.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable();
    let mut reading = Reading { disk, visit, state: State::default(), delivered: BTreeSet::new(), unread: 0 };
    for number in numbers {
        reading.segment(number);
    }
    let Reading { mut state, delivered, unread, .. } = reading;
    if unread > 0 {
        state.next = state.next.saturating_add(leap());
    }
    for sequence in delivered {
        state.index.remove(sequence);
    }
    Ok(state)
}

/// How many sequences are passed over if a file cannot be read: it may be readable again later, and what came meanwhile must
/// not have the sequences of what it holds. By chance, below 2^44: several processes may find nothing that can be read, one
/// after the other, and must not all go on from the same sequence.
fn leap() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0 >> 20
}

struct Reading<'a> {
    disk: &'a dyn Disk,
    visit: &'a mut dyn FnMut(Sequence, &[u8]),
    state: State,
    delivered: BTreeSet<Sequence>,
    /// Files that could not be read.
    unread: usize,
}

impl Reading<'_> {
    fn segment(&mut self, number: u64) {
        let name = file_name(number);
        let file = match self.disk.read(&name) {
            Ok(file) => file,
            Err(error) => return self.unread(number, &name, &error),
        };
        let mut segment = Segment { bytes: file.len() as u64, ..Segment::default() };
        match Header::read(&file) {
            Header::Ours(salt) => {
                segment.salt = salt;
                self.state.index.segments.insert(number, segment);
                self.entries(number, &name, Scan::new(&file, salt));
            }
            // Nothing of it was ever accepted; it goes with the first that is written.
            Header::Torn => {
                self.state.damage.torn += usize::from(!file.is_empty());
                self.state.index.segments.insert(number, segment);
            }
            Header::Foreign => {
                self.state.damage.foreign += 1;
                segment.foreign = true;
                self.state.index.segments.insert(number, segment);
            }
        }
    }

    /// Leaves a file alone that cannot be read, as it may be by the next process. How long it is, is not known.
    fn unread(&mut self, number: u64, name: &str, error: &io::Error) {
        self.unread += 1;
        self.state.damage.foreign += 1;
        self.state.last_error = Some(format!("{name}: cannot be read: {error}"));
        self.state.index.segments.insert(number, Segment { foreign: true, ..Segment::default() });
    }

    fn entries(&mut self, number: u64, name: &str, entries: Scan<'_>) {
        for found in entries {
            match found {
                Found::Entry(offset, Entry::Record { sequence, time, payload }) => {
                    (self.visit)(sequence, payload);
                    self.state.next = self.state.next.max(sequence.0);
                    let place = Place::Segment { number, offset: offset as u64 };
                    let record = Pending { time, size: record_size(payload.len()), place };
                    self.state.index.insert(sequence, record);
                }
                Found::Entry(_, Entry::Delivered(sequences)) => {
                    self.change(number, |segment| segment.used = true);
                    self.state.next = sequences.iter().fold(self.state.next, |next, it| next.max(it.0));
                    self.delivered.extend(sequences);
                }
                Found::Corrupt => self.state.damage.corrupt += 1,
                Found::Torn(at) => self.torn(number, name, at as u64),
            }
        }
    }

    /// Cuts the file, so that the same is not found and counted at every start.
    fn torn(&mut self, number: u64, name: &str, at: u64) {
        self.state.damage.torn += 1;
        match self.disk.cut(name, at) {
            Ok(()) => self.change(number, |segment| segment.bytes = at),
            // It is read as well as it was before.
            Err(error) => self.state.last_error = Some(format!("{name}: its torn end cannot be cut: {error}")),
        }
    }

    fn change(&mut self, number: u64, change: impl FnOnce(&mut Segment)) {
        self.state.index.segments.get_mut(&number).map(change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_told_by_their_names() {
        assert_eq!(number_of(&file_name(7)), Some(7));
        assert_eq!(number_of("00000000000000000007.journal"), Some(7));
        for name in ["7.journal", "00000000000000000007", "lock", "0000000000000000000x.journal", "-7.journal"] {
            assert_eq!(number_of(name), None, "{name}");
        }
    }
}

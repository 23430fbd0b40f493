//! How a segment looks on disk: a header, and entries one after the other. Pure: bytes in, bytes out.
//!
//! ```text
//! segment  magic "weirjrnl" | version u32 | salt u32 | crc32 of these u32 | entries
//! entry    length of the body u32 | crc32 of length and body, begun with the salt u32 | body
//! body     1 | sequence u64 | milliseconds since 1970 u64 | payload        a record
//!          2 | sequences u64...                                            records that have been delivered
//! ```
//!
//! All numbers are little-endian. The salt is random: bytes within a payload, which a stranger may have chosen, cannot pass
//! for an entry of the segment they lie in, and so a reader that has lost its place may look for the next entry.

use super::Sequence;

/// The version that is written. A reader takes this one and older ones, and leaves newer ones alone.
const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"weirjrnl";

pub(super) const HEADER: usize = 8 + 4 + 4 + 4;

/// Length and checksum, before each body.
pub(super) const FRAME: usize = 4 + 4;

/// Kind, sequence and time, before a payload.
const RECORD: usize = 1 + 8 + 8;

/// Longest payload, in bytes: room for a body of `/feedback` of the longest that may be set, 1 MiB, which as JSON of control
/// characters is six times as long.
pub const MAX_PAYLOAD: usize = 8 * 1024 * 1024;

/// Sequences in one entry; more are written as several.
const MAX_DELIVERED: usize = 4096;

const KIND_RECORD: u8 = 1;
const KIND_DELIVERED: u8 = 2;

/// What the beginning of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// A segment whose entries have this salt.
    Ours(u32),
    /// The process or machine ended before the header was on disk, and so before anything else was.
    Torn,
    /// Of a newer version, or nothing of ours.
    Foreign,
}

impl Header {
    pub(super) fn write(salt: u32) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[12..16].copy_from_slice(&salt.to_le_bytes());
        let checksum = crc32fast::hash(&header[..16]);
        header[16..].copy_from_slice(&checksum.to_le_bytes());
        header
    }

    pub(super) fn read(file: &[u8]) -> Self {
        let Some(header) = file.first_chunk::<HEADER>() else {
            let begins = MAGIC.starts_with(&file[..file.len().min(MAGIC.len())]);
            return if begins || file.iter().all(|byte| *byte == 0) { Self::Torn } else { Self::Foreign };
        };
        if file.iter().all(|byte| *byte == 0) {
            return Self::Torn;
        }
        let whole = crc32fast::hash(&header[..16]) == u32_at(header, 16);
        if header[..8] == MAGIC && (1..=VERSION).contains(&u32_at(header, 8)) && whole {
            Self::Ours(u32_at(header, 12))
        } else {
            Self::Foreign
        }
    }
}

/// What one entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    Record {
        sequence: Sequence,
        /// Milliseconds since 1970.
        time: u64,
        payload: &'a [u8],
    },
    Delivered(Vec<Sequence>),
}

/// Appends a record to what is to be written.
pub(super) fn write_record(out: &mut Vec<u8>, salt: u32, sequence: Sequence, time: u64, payload: &[u8]) {
    write_entry(out, salt, |out| {
        out.push(KIND_RECORD);
        out.extend(sequence.0.to_le_bytes());
        out.extend(time.to_le_bytes());
        out.extend(payload);
    });
}

/// Appends to what is to be written that records have been delivered.
pub(super) fn write_delivered(out: &mut Vec<u8>, salt: u32, sequences: &[Sequence]) {
    for some in sequences.chunks(MAX_DELIVERED) {
        write_entry(out, salt, |out| {
            out.push(KIND_DELIVERED);
            out.extend(some.iter().flat_map(|sequence| sequence.0.to_le_bytes()));
        });
    }
}

/// How many bytes a record with a payload of this length takes.
pub(super) fn record_size(payload: usize) -> usize {
    FRAME + RECORD + payload
}

fn write_entry(out: &mut Vec<u8>, salt: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; FRAME]);
    body(out);
    let length = u32::try_from(out.len() - start - FRAME).expect("payloads are bounded");
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    let checksum = checksum(salt, &out[start..start + 4], &out[start + FRAME..]);
    out[start + 4..start + FRAME].copy_from_slice(&checksum.to_le_bytes());
}

/// The entry at the beginning of these bytes and how many it takes; none if there is no whole and sound one.
pub(super) fn read_entry(bytes: &[u8], salt: u32) -> Option<(Entry<'_>, usize)> {
    let frame = bytes.first_chunk::<FRAME>()?;
    let length = usize::try_from(u32_at(frame, 0)).ok().filter(|length| *length <= RECORD + MAX_PAYLOAD)?;
    let body = bytes.get(FRAME..FRAME + length)?;
    if checksum(salt, &frame[..4], body) != u32_at(frame, 4) {
        return None;
    }
    Some((entry(body)?, FRAME + length))
}

fn entry(body: &[u8]) -> Option<Entry<'_>> {
    let (kind, rest) = body.split_first()?;
    match *kind {
        KIND_RECORD => {
            let (sequence, rest) = rest.split_first_chunk()?;
            let (time, payload) = rest.split_first_chunk()?;
            let sequence = Sequence(u64::from_le_bytes(*sequence));
            Some(Entry::Record { sequence, time: u64::from_le_bytes(*time), payload })
        }
        KIND_DELIVERED => {
            let (sequences, []) = rest.as_chunks() else { return None };
            Some(Entry::Delivered(sequences.iter().map(|it| Sequence(u64::from_le_bytes(*it))).collect()))
        }
        _ => None,
    }
}

/// What a reader comes upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// An entry, and where it begins.
    Entry(usize, Entry<'a>),
    /// Something that is no entry, with entries behind it.
    Corrupt,
    /// From here on there are no more entries.
    Torn(usize),
}

/// Reads the entries of a file behind its header.
pub(super) struct Scan<'a> {
    file: &'a [u8],
    salt: u32,
    at: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(file: &'a [u8], salt: u32) -> Self {
        Self { file, salt, at: HEADER }
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        let at = self.at;
        let rest = self.file.get(at..).filter(|rest| !rest.is_empty())?;
        if let Some((entry, size)) = read_entry(rest, self.salt) {
            self.at += size;
            return Some(Found::Entry(at, entry));
        }
        // The length may be what is damaged, so it says nothing about where the next entry is.
        match (at + 1..self.file.len()).find(|at| read_entry(&self.file[*at..], self.salt).is_some()) {
            Some(next) => {
                self.at = next;
                Some(Found::Corrupt)
            }
            None => {
                self.at = self.file.len();
                Some(Found::Torn(at))
            }
        }
    }
}

fn checksum(salt: u32, length: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(length);
    hasher.update(body);
    hasher.finalize()
}

/// The number at a place that is known to be there.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |it| u32::from_le_bytes(*it))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SALT: u32 = 0xfeed;

    fn segment(payloads: &[&[u8]]) -> Vec<u8> {
        let mut file = Header::write(SALT).to_vec();
        for (n, payload) in payloads.iter().enumerate() {
            write_record(&mut file, SALT, Sequence(n as u64), 7, payload);
        }
        file
    }

    fn payloads(file: &[u8]) -> Vec<Vec<u8>> {
        let entries = Scan::new(file, SALT).filter_map(|found| match found {
            Found::Entry(_, Entry::Record { payload, .. }) => Some(payload.to_vec()),
            _ => None,
        });
        entries.collect()
    }

    #[test]
    fn a_header_tells_ours_from_torn_from_foreign() {
        let ours = Header::write(SALT);
        assert_eq!(Header::read(&ours), Header::Ours(SALT));
        for length in 0..HEADER {
            assert_eq!(Header::read(&ours[..length]), Header::Torn, "{length}");
        }
        assert_eq!(Header::read(&[0; 4096]), Header::Torn);
        let mut newer = ours;
        newer[8] = 2;
        let mut damaged = ours;
        damaged[13] ^= 1;
        for file in [&newer[..], &damaged, b"something else", b"something else that is longer"] {
            assert_eq!(Header::read(file), Header::Foreign);
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let mut file = segment(&[b"one", b""]);
        let sequences: Vec<Sequence> = (0..5000).map(Sequence).collect();
        write_delivered(&mut file, SALT, &sequences);
        let found: Vec<Found<'_>> = Scan::new(&file, SALT).collect();
        let at = HEADER + record_size(3) + record_size(0);
        assert_eq!(found[0], Found::Entry(HEADER, Entry::Record { sequence: Sequence(0), time: 7, payload: b"one" }));
        assert_eq!(found[2], Found::Entry(at, Entry::Delivered(sequences[..4096].to_vec())));
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn a_damaged_entry_costs_no_other() {
        let whole = segment(&[b"one", b"two", b"three"]);
        let (start, end) = (HEADER + record_size(3), HEADER + 2 * record_size(3));
        for at in start..end {
            let mut file = whole.clone();
            file[at] ^= 0x55;
            assert_eq!(payloads(&file), [b"one".to_vec(), b"three".to_vec()], "byte {at}");
            assert!(Scan::new(&file, SALT).any(|found| found == Found::Corrupt), "byte {at}");
        }
    }

    #[test]
    fn a_payload_cannot_pass_for_an_entry() {
        let mut forged = Vec::new();
        write_delivered(&mut forged, 0, &[Sequence(0)]);
        let mut file = segment(&[b"one", &forged]);
        file[HEADER + record_size(3)] ^= 1;
        assert_eq!(Scan::new(&file, SALT).last(), Some(Found::Torn(HEADER + record_size(3))));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange_to_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            Header::read(&bytes);
            let file = [&Header::write(SALT)[..], &bytes].concat();
            Scan::new(&file, SALT).for_each(drop);
        }
    }
}

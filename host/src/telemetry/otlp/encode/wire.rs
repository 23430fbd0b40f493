//! Writes protobuf from its end to its beginning. The length of a message stands before it, and so is known when it is to be
//! written: nothing is measured beforehand, and nothing moved afterwards. The last field of a message comes first.
//!
//! As proto3 says, what has its default value is not written; the functions named `some_` are for values of which it matters that they are there.

use bytes::Bytes;

/// How a value stands on the wire.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH: u32 = 2;
const FIXED32: u32 = 5;

/// Longest varint, in bytes.
const MOST: usize = 10;

/// The last fields of a message.
#[derive(Debug)]
pub(super) struct Fields {
    /// Its end has been written.
    buffer: Vec<u8>,
    /// Where that begins.
    start: usize,
}

impl Fields {
    /// None yet. For more than `room` bytes they would be moved once more.
    pub(super) fn with_room(room: usize) -> Self {
        // No zeros: jemalloc makes many of those by giving pages back, each of which is then mapped anew.
        Self { buffer: vec![u8::MAX; room], start: room }
    }

    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::from(self.buffer).slice(self.start..)
    }

    pub(super) fn bytes(&mut self, number: u32, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.some_bytes(number, bytes);
        }
    }

    pub(super) fn text(&mut self, number: u32, text: &str) {
        self.bytes(number, text.as_bytes());
    }

    pub(super) fn unsigned(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.some_varint(number, value);
        }
    }

    pub(super) fn fixed32(&mut self, number: u32, value: u32) {
        if value != 0 {
            self.put(&value.to_le_bytes());
            self.key(number, FIXED32);
        }
    }

    pub(super) fn fixed64(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.some_fixed64(number, value);
        }
    }

    pub(super) fn some_bytes(&mut self, number: u32, bytes: &[u8]) {
        self.put(bytes);
        self.varint(bytes.len() as u64);
        self.key(number, LENGTH);
    }

    /// Also whatever else is a varint: `bool`, and `int64` by its bits.
    pub(super) fn some_varint(&mut self, number: u32, value: u64) {
        self.varint(value);
        self.key(number, VARINT);
    }

    /// Also `double`, by its bits.
    pub(super) fn some_fixed64(&mut self, number: u32, value: u64) {
        self.put(&value.to_le_bytes());
        self.key(number, FIXED64);
    }

    /// A message within this one.
    pub(super) fn message(&mut self, number: u32, write: impl FnOnce(&mut Self)) {
        let behind = self.written();
        write(self);
        self.varint((self.written() - behind) as u64);
        self.key(number, LENGTH);
    }

    fn key(&mut self, number: u32, wire: u32) {
        self.varint(u64::from(number << 3 | wire));
    }

    fn varint(&mut self, value: u64) {
        match u8::try_from(value) {
            Ok(short @ 0..0x80) => self.put(&[short]),
            _ => self.long_varint(value),
        }
    }

    fn long_varint(&mut self, mut value: u64) {
        let (mut bytes, mut length) = ([0; MOST], 1);
        while let high @ 1.. = value >> 7 {
            bytes[length - 1] = value.to_le_bytes()[0] | 0x80;
            value = high;
            length += 1;
        }
        bytes[length - 1] = value.to_le_bytes()[0];
        self.put(&bytes[..length]);
    }

    /// In bytes.
    fn written(&self) -> usize {
        self.buffer.len() - self.start
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.start < bytes.len() {
            self.make_room(bytes.len());
        }
        let end = self.start;
        self.start -= bytes.len();
        self.buffer[self.start..end].copy_from_slice(bytes);
    }

    #[cold]
    fn make_room(&mut self, bytes: usize) {
        let mut larger = Self::with_room((self.written() + bytes).max(2 * self.buffer.len()));
        larger.put(&self.buffer[self.start..]);
        *self = larger;
    }
}

#[cfg(test)]
mod tests {
    use prost::encoding::{decode_varint, encode_varint};

    use super::*;

    #[test]
    fn numbers_are_written_as_the_library_writes_them() {
        for value in (0..64).flat_map(|bits| [(1_u64 << bits) - 1, 1 << bits]).chain([u64::MAX]) {
            let (mut fields, mut expected) = (Fields::with_room(0), Vec::new());
            fields.varint(value);
            encode_varint(value, &mut expected);
            assert_eq!(fields.into_bytes(), expected, "{value}");
        }
    }

    #[test]
    fn what_has_no_room_left_is_written_all_the_same() {
        let text = "x".repeat(300);
        let written = |room| {
            let mut fields = Fields::with_room(room);
            fields.message(1, |outer| {
                outer.text(3, &text);
                outer.message(2, |inner| inner.some_varint(1, 7));
                outer.fixed32(1, 5);
            });
            fields.into_bytes()
        };
        let whole = written(1000);
        assert!((0..400).all(|room| written(room) == whole));
        let mut rest = &whole[1..];
        assert_eq!(decode_varint(&mut rest), Ok(rest.len() as u64));
        assert_eq!(rest[..9], [0x0d, 5, 0, 0, 0, 0x12, 2, 8, 7]);
    }
}

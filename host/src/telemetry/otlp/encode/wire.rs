//! Writes protobuf, field by field, in one pass: what a message is written from need not be made into another first.
//!
//! As proto3 says, what has its default value is not written; the functions named `some_` are for values of which it matters that they are there.

/// How a value stands on the wire.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH: u32 = 2;
const FIXED32: u32 = 5;

/// The fields of one message, at the end of a buffer.
pub(super) struct Fields<'b>(&'b mut Vec<u8>);

impl<'b> Fields<'b> {
    pub(super) fn at_end_of(buffer: &'b mut Vec<u8>) -> Self {
        Self(buffer)
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
            self.key(number, FIXED32);
            self.0.extend(value.to_le_bytes());
        }
    }

    pub(super) fn fixed64(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.some_fixed64(number, value);
        }
    }

    pub(super) fn some_bytes(&mut self, number: u32, bytes: &[u8]) {
        self.key(number, LENGTH);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// Also whatever else is a varint: `bool`, and `int64` by its bits.
    pub(super) fn some_varint(&mut self, number: u32, value: u64) {
        self.key(number, VARINT);
        self.varint(value);
    }

    /// Also `double`, by its bits.
    pub(super) fn some_fixed64(&mut self, number: u32, value: u64) {
        self.key(number, FIXED64);
        self.0.extend(value.to_le_bytes());
    }

    /// A message within this one. Its length is known when it is written, and most are short: one byte is left for it, and if
    /// it takes more the message makes room.
    pub(super) fn message(&mut self, number: u32, write: impl FnOnce(&mut Fields<'_>)) {
        self.key(number, LENGTH);
        let length_at = self.0.len();
        self.0.push(0);
        write(self);
        let length = self.0.len() - length_at - 1;
        if let Ok(short @ 0..0x80) = u8::try_from(length) {
            self.0[length_at] = short;
        } else {
            let mut written = Vec::with_capacity(10);
            Fields(&mut written).varint(length as u64);
            self.0.splice(length_at..=length_at, written);
        }
    }

    /// Fields that are written already.
    pub(super) fn written(&mut self, fields: &[u8]) {
        self.0.extend_from_slice(fields);
    }

    fn key(&mut self, number: u32, wire: u32) {
        self.varint(u64::from(number << 3 | wire));
    }

    fn varint(&mut self, mut value: u64) {
        while let high @ 1.. = value >> 7 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value = high;
        }
        self.0.push(value.to_le_bytes()[0]);
    }
}

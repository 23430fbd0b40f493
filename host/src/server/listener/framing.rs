//! Where the body of a request ends among the bytes that follow its head. Pure. What the body is, hyper decides; this is
//! for finding the next head, and stricter than hyper: where the two could differ, the body is broken.

/// Longest line that tells the size of a chunk, with its extensions, which nobody uses.
const MAX_SIZE_LINE: usize = 256;
/// Longest that all lines after the last chunk may be together.
const MAX_TRAILERS: usize = 8 * 1024;
/// The most digits of a chunk's size: more than 4 PiB is a mistake.
const MAX_SIZE_DIGITS: usize = 13;

/// What is still to come of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes.
    Length(u64),
    Chunked(Chunks),
}

/// What comes next of a body in chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// Digits of a size, the value so far, and their number.
    Size { size: u64, digits: usize },
    /// The rest of a size's line; `cr`: the last byte was a carriage return.
    Extension { size: u64, length: usize, cr: bool },
    /// So many bytes of a chunk.
    Data(u64),
    /// The line end after a chunk; `cr`: half of it has been seen.
    DataEnd { cr: bool },
    /// Lines after the last chunk, up to an empty one: bytes on this line and on all, and whether the last was a carriage
    /// return.
    Trailers { line: usize, all: usize, cr: bool },
}

/// The bytes are no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl Framing {
    pub(super) fn chunked() -> Self {
        Self::Chunked(Chunks::Size { size: 0, digits: 0 })
    }

    /// How many of the bytes belong to the body, and whether it ends with them.
    ///
    /// # Errors
    /// If they cannot be what was promised.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(usize, bool), Broken> {
        match self {
            Self::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                Ok((taken, *left == 0))
            }
            Self::Chunked(chunks) => {
                let mut taken = 0;
                while taken < bytes.len() {
                    let (count, ended) = chunks.step(&bytes[taken..])?;
                    taken += count;
                    if ended {
                        return Ok((taken, true));
                    }
                }
                Ok((taken, false))
            }
        }
    }
}

impl Chunks {
    /// Takes one byte, or as many as there are of a chunk. `bytes` is not empty.
    fn step(&mut self, bytes: &[u8]) -> Result<(usize, bool), Broken> {
        if let Self::Data(left) = self {
            let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
            *left -= taken as u64;
            if *left == 0 {
                *self = Self::DataEnd { cr: false };
            }
            return Ok((taken, false));
        }
        let ended = self.byte(bytes[0])?;
        Ok((1, ended))
    }

    fn byte(&mut self, byte: u8) -> Result<bool, Broken> {
        *self = match (&*self, byte) {
            (Self::Size { size, digits }, byte) => match (byte as char).to_digit(16) {
                Some(_) if *digits == MAX_SIZE_DIGITS => return Err(Broken),
                Some(digit) => Self::Size { size: size * 16 + u64::from(digit), digits: digits + 1 },
                None if *digits == 0 => return Err(Broken),
                None if matches!(byte, b'\r' | b';') => Self::Extension { size: *size, length: 0, cr: byte == b'\r' },
                None => return Err(Broken),
            },
            (Self::Extension { size: 0, cr: true, .. }, b'\n') => Self::Trailers { line: 0, all: 0, cr: false },
            (Self::Extension { size, cr: true, .. }, b'\n') => Self::Data(*size),
            (Self::Extension { size, length, cr: false }, byte) if byte != b'\n' && *length < MAX_SIZE_LINE => {
                Self::Extension { size: *size, length: length + 1, cr: byte == b'\r' }
            }
            (Self::DataEnd { cr: false }, b'\r') => Self::DataEnd { cr: true },
            (Self::DataEnd { cr: true }, b'\n') => Self::Size { size: 0, digits: 0 },
            (Self::Trailers { line: 0, cr: true, .. }, b'\n') => return Ok(true),
            (Self::Trailers { all, cr: true, .. }, b'\n') => Self::Trailers { line: 0, all: *all, cr: false },
            (Self::Trailers { line, all, cr: false }, b'\r') => Self::Trailers { line: *line, all: *all, cr: true },
            (Self::Trailers { line, all, cr: false }, byte) if byte != b'\n' && *all < MAX_TRAILERS => {
                Self::Trailers { line: line + 1, all: all + 1, cr: false }
            }
            _ => return Err(Broken),
        };
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes the body has, whether given at once or one by one.
    #[track_caller]
    fn check(framing: Framing, bytes: &[u8], expected: Result<Option<usize>, Broken>) {
        let mut at_once = framing;
        let found = at_once.take(bytes).map(|(taken, ended)| ended.then_some(taken));
        assert_eq!(found, expected, "{:?}", String::from_utf8_lossy(bytes));

        let mut one_by_one = framing;
        let mut found = Ok(None);
        for (index, byte) in bytes.iter().enumerate() {
            match one_by_one.take(std::slice::from_ref(byte)) {
                Ok((1, false)) => {}
                Ok((1, true)) => {
                    found = Ok(Some(index + 1));
                    break;
                }
                Ok(taken) => panic!("{taken:?} of one byte"),
                Err(Broken) => {
                    found = Err(Broken);
                    break;
                }
            }
        }
        assert_eq!(found, expected, "byte by byte: {:?}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn a_body_of_known_length_ends_there() {
        check(Framing::Length(3), b"abcGET /", Ok(Some(3)));
        check(Framing::Length(3), b"ab", Ok(None));
    }

    #[test]
    fn chunks_end_with_an_empty_one() {
        for (bytes, expected) in [
            ("0\r\n\r\nGET /", Some(5)),
            ("3\r\nabc\r\n0\r\n\r\nGET /", Some(13)),
            ("3;a=b\r\nabc\r\n000\r\n\r\n", Some(19)),
            ("a\r\n0123456789\r\n0\r\nx: y\r\nz: \r\n\r\n!", Some(31)),
            ("3\r\nabc\r\n0\r\n", None),
            ("3\r\nab", None),
        ] {
            check(Framing::chunked(), bytes.as_bytes(), Ok(expected));
        }
    }

    #[test]
    fn what_others_might_read_otherwise_is_broken() {
        let long = format!("1;{}\r\na\r\n0\r\n\r\n", "e".repeat(64 * 1024));
        for bytes in [
            "\r\n",
            "-1\r\n",
            "+1\r\na\r\n",
            " 1\r\na\r\n",
            "1 \r\na\r\n",
            "0x1\r\na\r\n",
            "1\na\r\n",
            "1;a\na\r\n",
            "1\r\na\n",
            "1\r\nab\r\n",
            "1\r\ra",
            "0\r\n\n",
            "0\r\na: b\n\r\n",
            "FFFFFFFFFFFFFFFF\r\n",
            "00000000000001\r\n",
            &long,
        ] {
            check(Framing::chunked(), bytes.as_bytes(), Err(Broken));
        }
    }
}

//! Server-sent events out of bytes, as a service's stream arrives. Knows neither HTTP nor what the events say.
//!
//! Follows the event stream format of the HTML standard: all three line ends, comments, several `data` lines in one
//! event. Only `data` is of use here; `event`, `id` and `retry` are read over.

use std::collections::VecDeque;

/// A parser that is fed pieces of any size.
#[derive(Debug)]
pub struct Events {
    /// Bytes that one event may have. What comes from a service is not trusted to end its lines.
    limit: usize,
    /// The line that has begun.
    line: Vec<u8>,
    /// The `data` of the event that has begun; none before its first `data` line.
    data: Option<String>,
    /// The last byte was a carriage return: a line feed that follows belongs to it.
    after_return: bool,
    at_start: bool,
    ready: VecDeque<String>,
}

/// The bytes are not an event stream that we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotEvents {
    #[error("an event is larger than {0} bytes")]
    TooLarge(usize),
    #[error("an event is not UTF-8")]
    NotUtf8,
}

impl Events {
    pub fn new(limit: usize) -> Self {
        Self { limit, line: Vec::new(), data: None, after_return: false, at_start: true, ready: VecDeque::new() }
    }

    /// Takes the next bytes. After an error the parser is of no more use.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), NotEvents> {
        if self.after_return && !bytes.is_empty() {
            self.after_return = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.extend_line(&bytes[..end])?;
            self.end_line()?;
            let at_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            match (at_return, bytes.first()) {
                (true, Some(b'\n')) => bytes = &bytes[1..],
                (true, None) => self.after_return = true,
                _ => {}
            }
        }
        self.extend_line(bytes)
    }

    /// The `data` of the next whole event. An event that the stream's end cuts off never comes.
    pub fn take(&mut self) -> Option<String> {
        self.ready.pop_front()
    }

    fn extend_line(&mut self, bytes: &[u8]) -> Result<(), NotEvents> {
        let size = self.line.len() + self.data.as_ref().map_or(0, String::len) + bytes.len();
        if size > self.limit {
            return Err(NotEvents::TooLarge(self.limit));
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), NotEvents> {
        let line = std::mem::take(&mut self.line);
        let line = str::from_utf8(&line).map_err(|_| NotEvents::NotUtf8)?;
        let line = if self.at_start { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
        self.at_start = false;
        if line.is_empty() {
            self.ready.extend(self.data.take());
            return Ok(());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        if field == "data" {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way to cut the stream in three gives the same events.
    #[track_caller]
    fn check(stream: &str, expected: &[&str]) {
        let bytes = stream.as_bytes();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let mut events = Events::new(1024);
                for piece in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                    events.push(piece).expect("an event stream");
                }
                let read: Vec<_> = std::iter::from_fn(|| events.take()).collect();
                assert_eq!(read, expected, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn lines_end_in_three_ways() {
        check("data: a\n\ndata: b\r\n\r\ndata: c\r\rdata: d\r\n\n", &["a", "b", "c", "d"]);
    }

    #[test]
    fn data_of_several_lines_is_joined() {
        check("data: a\ndata:  b\ndata\ndata:c\n\n", &["a\n b\n\nc"]);
    }

    #[test]
    fn comments_and_other_fields_are_read_over() {
        check(": keep-alive\n\nevent: x\nid: 1\nretry: 5\ndata: ä\ndatas: no\n\n:\n\n", &["ä"]);
    }

    #[test]
    fn a_byte_order_mark_may_stand_first() {
        check("\u{feff}data: a\n\n", &["a"]);
    }

    #[test]
    fn an_event_that_is_cut_off_is_left_out() {
        check("data: a\n\ndata: b\n", &["a"]);
    }

    #[track_caller]
    fn check_refused(stream: &[u8], expected: NotEvents) {
        let mut events = Events::new(16);
        assert_eq!(stream.iter().try_for_each(|byte| events.push(&[*byte])), Err(expected));
    }

    #[test]
    fn a_line_without_end_is_refused() {
        check_refused(&[b'x'; 17], NotEvents::TooLarge(16));
    }

    #[test]
    fn an_event_without_end_is_refused() {
        check_refused(&b"data: abc\n".repeat(5), NotEvents::TooLarge(16));
    }

    #[test]
    fn events_must_be_utf8() {
        check_refused(b"data: \xff\n", NotEvents::NotUtf8);
    }
}

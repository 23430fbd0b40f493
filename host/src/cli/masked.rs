//! Standard error for the host's log, without what must be told to nobody.

use std::io::{self, Write, stderr};

use tracing_subscriber::fmt::MakeWriter;

use crate::telemetry::Redactor;

/// Makes writers; each is given one line.
pub(super) struct Masked(pub(super) Redactor);

/// Masks what is written at once.
pub(super) struct Line<'a> {
    redactor: &'a Redactor,
    out: io::Stderr,
}

impl<'a> MakeWriter<'a> for Masked {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { redactor: &self.0, out: stderr() }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.out.write_all(self.redactor.text(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

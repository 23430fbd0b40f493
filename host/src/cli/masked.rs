//! Standard error for the host's log: without what must be told to nobody, and without waiting for whoever reads it.
//!
//! A pipe that nobody reads takes 64 KiB; then it blocks whoever writes, and so each request that has something to log. A line
//! is written only if there is room for it, and counted if there is none. There is no thread with a queue: the last lines of a
//! process that ends would stay in it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, StderrLock, Write, stderr};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use crate::telemetry::Redactor;

/// How long a line waits for room, and how often it looks: a reader that is only slow has read some by then. Those after it
/// do not wait, until there is room again.
const PATIENCE: u32 = 20;
const LOOK: Duration = Duration::from_millis(5);

/// `O_NONBLOCK` of Linux: to write fails if there is no room.
const NONBLOCK: i32 = 0o4000;

/// Standard error, which a process has once.
static OUTPUT: Output = Output::new();

/// How many lines of the log were not written.
pub(super) fn lost() -> u64 {
    OUTPUT.lost.load(Ordering::Relaxed)
}

/// Makes writers; each is given one line.
pub(super) struct Masked(pub(super) Redactor);

/// Masks what is written at once.
pub(super) struct Line<'a> {
    redactor: &'a Redactor,
    /// Held for the whole line, so that lines do not mix.
    out: StderrLock<'static>,
}

impl<'a> MakeWriter<'a> for Masked {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { redactor: &self.0, out: stderr().lock() }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let line = self.redactor.text(&text);
        match pipe() {
            Some(pipe) => OUTPUT.line(&mut *pipe.lock().unwrap_or_else(PoisonError::into_inner), line.as_bytes()),
            None => OUTPUT.line(&mut self.out, line.as_bytes()),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Standard error, opened once more so that writing to it does not block, which concerns nobody else who has it. None: it
/// is no pipe. A file always has room, and opened once more it would be written from its beginning.
fn pipe() -> Option<&'static Mutex<File>> {
    static PIPE: OnceLock<Option<Mutex<File>>> = OnceLock::new();
    PIPE.get_or_init(|| nonblocking("/proc/self/fd/2").ok().flatten().map(Mutex::new)).as_ref()
}

fn nonblocking(path: &str) -> io::Result<Option<File>> {
    if !fs::metadata(path)?.file_type().is_fifo() {
        return Ok(None);
    }
    OpenOptions::new().write(true).custom_flags(NONBLOCK).open(path).map(Some)
}

/// What is known of an output that may be blocked.
struct Output {
    lost: AtomicU64,
    /// Of these, what the output itself has not said.
    untold: AtomicU64,
    /// Whether there was no room the last time.
    stuck: AtomicBool,
    /// Whether the last line was not written to its end.
    broken: AtomicBool,
}

impl Output {
    const fn new() -> Self {
        let (lost, untold) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { lost, untold, stuck: AtomicBool::new(false), broken: AtomicBool::new(false) }
    }

    /// Writes a line, or counts it.
    fn line(&self, out: &mut impl Write, line: &[u8]) {
        let written = self.tell_untold(out).and_then(|()| self.write(out, line));
        if written.is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            self.untold.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Says first how much is missing, once there is room again.
    fn tell_untold(&self, out: &mut impl Write) -> io::Result<()> {
        let untold = self.untold.load(Ordering::Relaxed);
        if untold == 0 {
            return Ok(());
        }
        let end = if self.broken.load(Ordering::Relaxed) { "…\n" } else { "" };
        let text = format!("{end} WARN {untold} lines of the log were not written: nobody read them\n");
        self.write(out, text.as_bytes())?;
        self.untold.fetch_sub(untold, Ordering::Relaxed);
        Ok(())
    }

    fn write(&self, out: &mut impl Write, mut text: &[u8]) -> io::Result<()> {
        let whole = text.len();
        let mut looks = if self.stuck.load(Ordering::Relaxed) { 0 } else { PATIENCE };
        while !text.is_empty() {
            match out.write(text) {
                Ok(written) => text = &text[written.min(text.len())..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && looks > 0 => {
                    looks -= 1;
                    thread::park_timeout(LOOK);
                }
                Err(error) => {
                    self.stuck.store(true, Ordering::Relaxed);
                    if text.len() < whole {
                        self.broken.store(true, Ordering::Relaxed);
                    }
                    return Err(error);
                }
            }
        }
        self.stuck.store(false, Ordering::Relaxed);
        self.broken.store(false, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::AsRawFd as _;

    use super::*;

    /// A pipe whose one end does not block.
    fn pipe() -> (io::PipeReader, File) {
        let (reader, writer) = io::pipe().unwrap();
        let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
        (reader, nonblocking(&path).unwrap().expect("a pipe"))
    }

    fn lost(output: &Output) -> u64 {
        output.lost.load(Ordering::Relaxed)
    }

    #[test]
    fn a_pipe_that_nobody_reads_blocks_nobody_and_what_is_missing_is_said() {
        let (mut reader, mut pipe) = pipe();
        let output = Output::new();
        let mut whole = 0;
        while lost(&output) == 0 {
            output.line(&mut pipe, &[b'x'; 1024]);
            whole += 1;
        }
        assert!(whole > 10, "{whole}");
        (0..100).for_each(|_| output.line(&mut pipe, b"lost\n"));
        assert_eq!(lost(&output), 101);

        let mut all = vec![0; (whole - 1) * 1024];
        reader.read_exact(&mut all).unwrap();
        output.line(&mut pipe, b"heard\n");
        drop(pipe);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        let rest = rest.trim_start_matches('x').trim_start_matches("…\n");
        assert_eq!(rest, " WARN 101 lines of the log were not written: nobody read them\nheard\n");
        assert_eq!(lost(&output), 101);
    }

    #[test]
    fn a_line_that_did_not_fit_to_its_end_is_ended() {
        let (mut reader, mut pipe) = pipe();
        let output = Output::new();
        output.line(&mut pipe, &vec![b'x'; 1 << 20]);
        assert_eq!((lost(&output), output.broken.load(Ordering::Relaxed)), (1, true));
        let mut begun = vec![0; 8192];
        reader.read_exact(&mut begun).unwrap();
        output.line(&mut pipe, b"next\n");
        drop(pipe);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        let rest = rest.trim_start_matches('x');
        assert_eq!(rest, "…\n WARN 1 lines of the log were not written: nobody read them\nnext\n");
    }

    #[test]
    fn a_pipe_that_nobody_can_read_any_more_is_no_failure() {
        let (reader, mut pipe) = pipe();
        drop(reader);
        let output = Output::new();
        output.line(&mut pipe, b"one\n");
        output.line(&mut pipe, b"two\n");
        assert_eq!(lost(&output), 2);
    }

    #[test]
    fn what_is_no_pipe_is_written_to_as_ever() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(nonblocking(file.path().to_str().unwrap()).unwrap().is_none());
    }
}

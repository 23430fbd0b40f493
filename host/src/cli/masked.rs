//! Standard error for the host's log: without what must be told to nobody, and without waiting for whoever reads it.
//!
//! A pipe that nobody reads takes 64 KiB; then it blocks whoever writes, and so each request that has something to log. A
//! socket, which systemd gives, takes some more. A line is written only if there is room for it, and counted if there is none.
//! There is no thread with a queue: the last lines of a process that ends would stay in it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, StderrLock, Write, stderr};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::net::{SendFlags, send};
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
        match kind() {
            Kind::Pipe(pipe) => OUTPUT.line(&mut *pipe.lock().unwrap_or_else(PoisonError::into_inner), line.as_bytes()),
            Kind::Socket => OUTPUT.line(&mut Socket(&self.out), line.as_bytes()),
            Kind::Other => OUTPUT.line(&mut self.out, line.as_bytes()),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What standard error is, and how it is written to without waiting. That must concern nobody else who has it, and so what is
/// open is left as it is.
enum Kind {
    /// Opened once more, so that writing to it does not block.
    Pipe(Mutex<File>),
    /// It cannot be opened; each write says that it does not wait.
    Socket,
    /// A file always has room, and opened once more it would be written from its beginning.
    Other,
}

fn kind() -> &'static Kind {
    static KIND: OnceLock<Kind> = OnceLock::new();
    KIND.get_or_init(|| Kind::of("/proc/self/fd/2").unwrap_or(Kind::Other))
}

impl Kind {
    fn of(path: &str) -> io::Result<Self> {
        let kind = fs::metadata(path)?.file_type();
        if kind.is_socket() {
            return Ok(Self::Socket);
        }
        if !kind.is_fifo() {
            return Ok(Self::Other);
        }
        let pipe = OpenOptions::new().write(true).custom_flags(NONBLOCK).open(path)?;
        Ok(Self::Pipe(Mutex::new(pipe)))
    }
}

/// Writes to a socket if there is room.
struct Socket<T>(T);

impl<T: AsFd> Write for Socket<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Nor is there a signal if nobody can read it any more.
        Ok(send(&self.0, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
    use std::io::Read;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// A pipe whose one end does not block.
    fn pipe() -> (io::PipeReader, File) {
        let (reader, writer) = io::pipe().unwrap();
        let Kind::Pipe(pipe) = kind(&writer) else { panic!("it is a pipe") };
        (reader, pipe.into_inner().unwrap())
    }

    fn kind(file: &impl AsRawFd) -> Kind {
        Kind::of(&format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap()
    }

    fn lost(output: &Output) -> u64 {
        output.lost.load(Ordering::Relaxed)
    }

    /// Writes until there is no room, then more, and reads what came.
    fn nobody_reads(reader: &mut impl Read, mut writer: impl Write) {
        let output = Output::new();
        let mut whole = 0;
        while lost(&output) == 0 {
            output.line(&mut writer, &[b'x'; 1024]);
            whole += 1;
        }
        assert!(whole > 10, "{whole}");
        (0..100).for_each(|_| output.line(&mut writer, b"lost\n"));
        assert_eq!(lost(&output), 101);

        let mut all = vec![0; (whole - 1) * 1024];
        reader.read_exact(&mut all).unwrap();
        output.line(&mut writer, b"heard\n");
        drop(writer);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        let rest = rest.trim_start_matches('x').trim_start_matches("…\n");
        assert_eq!(rest, " WARN 101 lines of the log were not written: nobody read them\nheard\n");
        assert_eq!(lost(&output), 101);
    }

    #[test]
    fn a_pipe_that_nobody_reads_blocks_nobody_and_what_is_missing_is_said() {
        let (mut reader, pipe) = pipe();
        nobody_reads(&mut reader, pipe);
    }

    #[test]
    fn a_socket_that_nobody_reads_blocks_nobody_and_what_is_missing_is_said() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        assert!(matches!(kind(&writer), Kind::Socket));
        nobody_reads(&mut reader, Socket(writer));
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
    fn what_nobody_can_read_any_more_is_no_failure() {
        let (reader, pipe) = pipe();
        let (other, socket) = UnixStream::pair().unwrap();
        drop((reader, other));
        let writers: [Box<dyn Write>; 2] = [Box::new(pipe), Box::new(Socket(socket))];
        for mut writer in writers {
            let output = Output::new();
            output.line(&mut writer, b"one\n");
            output.line(&mut writer, b"two\n");
            assert_eq!(lost(&output), 2);
        }
    }

    #[test]
    fn what_is_no_pipe_and_no_socket_is_written_to_as_ever() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(kind(file.as_file()), Kind::Other));
    }
}

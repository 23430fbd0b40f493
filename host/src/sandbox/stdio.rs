//! A guest's stdout and stderr, line by line, as log records of its span.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::boundary::bounds::Calls;
use crate::boundary::facts::LogLevel;
use crate::boundary::notes::Notes;
use crate::sandbox::ending::WRITE_TOO_LARGE;
use crate::sandbox::limits::fixed;

/// Longest line that is kept together, in bytes. A guest must not make the host hold more.
const MAX_LINE: usize = fixed::LINE.0 as usize;

/// Most that a guest may hand over in one write, in bytes.
const MAX_WRITE: usize = fixed::WRITE.0 as usize;

/// Calls of WASI that come with one write: to get the stream, to ask how much it takes, to flush.
const BESIDE_A_WRITE: u8 = 3;

/// Which of the two.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// Collects what is written until a line is whole. Clones share it, also those that a guest holds from one run to the next.
#[derive(Clone)]
pub(super) struct Lines {
    stream: Stream,
    held: Arc<Mutex<Held>>,
}

struct Held {
    /// Of the run that writes.
    notes: Notes,
    calls: Calls,
    unfinished: Vec<u8>,
    /// Calls beside the last write that are still free.
    free: u8,
}

impl Lines {
    pub(super) fn new(notes: Notes, calls: Calls, stream: Stream) -> Self {
        Self { stream, held: Arc::new(Mutex::new(Held { notes, calls, unfinished: Vec::new(), free: 0 })) }
    }

    /// From here on another run writes.
    pub(super) fn turn_to(&self, notes: Notes, calls: Calls) {
        self.close();
        let mut held = self.held();
        (held.notes, held.calls, held.free) = (notes, calls, 0);
    }

    /// How many share this, itself included.
    pub(super) fn shared(&self) -> usize {
        Arc::strong_count(&self.held)
    }

    /// Logs a last line that was not ended.
    pub(super) fn close(&self) {
        let mut held = self.held();
        let rest = std::mem::take(&mut held.unfinished);
        if !rest.is_empty() {
            self.log(&held.notes, &rest);
        }
    }

    fn write(&self, bytes: &[u8]) {
        let mut held = self.held();
        let Held { notes, calls, unfinished, free } = &mut *held;
        // Lines of the log have limits of their own, and so the calls that bring some are not counted.
        if !bytes.is_empty() {
            calls.free();
            *free = BESIDE_A_WRITE;
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut rest = piece;
            while !rest.is_empty() {
                let (part, beyond) = rest.split_at(rest.len().min(MAX_LINE - unfinished.len()));
                unfinished.extend_from_slice(part);
                if unfinished.ends_with(b"\n") || unfinished.len() >= MAX_LINE {
                    let line = std::mem::take(unfinished);
                    self.log(notes, &line);
                }
                rest = beyond;
            }
        }
    }

    /// A call of the kind that comes with a write.
    fn beside_a_write(&self) {
        let mut held = self.held();
        if let Some(left) = held.free.checked_sub(1) {
            held.free = left;
            held.calls.free();
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self, notes: &Notes, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let (level, context) = match self.stream {
            Stream::Stdout => (LogLevel::Info, "stdout"),
            Stream::Stderr => (LogLevel::Warn, "stderr"),
        };
        notes.log(level, context, text.trim_end_matches(['\n', '\r']));
    }
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    // Directly, and not by way of the asynchronous stream: that one writes from a task of its own, which may come
    // after the span has ended.
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        self.beside_a_write();
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > MAX_WRITE {
            return Err(StreamError::trap(WRITE_TOO_LARGE));
        }
        Self::write(self, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.beside_a_write();
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.beside_a_write();
        Ok(MAX_WRITE)
    }
}

impl AsyncWrite for Lines {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

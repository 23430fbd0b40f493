//! A guest's stdout and stderr, line by line, as log records of its span.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::boundary::facts::LogLevel;
use crate::boundary::notes::Notes;

/// Longest line that is kept together, in bytes; longer ones are broken. A guest must not make the host hold more.
const MAX_LINE: usize = 4 * 1024;

/// Most that a guest may hand over in one write, in bytes.
const MAX_WRITE: usize = 64 * 1024;

/// Which of the two.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// Collects what is written until a line is whole. Clones share it.
#[derive(Clone)]
pub(super) struct Lines {
    notes: Notes,
    stream: Stream,
    unfinished: Arc<Mutex<Vec<u8>>>,
}

impl Lines {
    pub(super) fn new(notes: Notes, stream: Stream) -> Self {
        Self { notes, stream, unfinished: Arc::default() }
    }

    /// Logs a last line that was not ended.
    pub(super) fn close(&self) {
        let rest = std::mem::take(&mut *self.unfinished.lock().unwrap_or_else(PoisonError::into_inner));
        if !rest.is_empty() {
            self.log(&rest);
        }
    }

    fn write(&self, bytes: &[u8]) {
        let mut unfinished = self.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            for part in piece.chunks(MAX_LINE) {
                unfinished.extend_from_slice(part);
                if unfinished.ends_with(b"\n") || unfinished.len() >= MAX_LINE {
                    let line = std::mem::take(&mut *unfinished);
                    self.log(&line);
                }
            }
        }
    }

    fn log(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let (level, context) = match self.stream {
            Stream::Stdout => (LogLevel::Info, "stdout"),
            Stream::Stderr => (LogLevel::Warn, "stderr"),
        };
        self.notes.log(level, context, text.trim_end_matches(['\n', '\r']));
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
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        Self::write(self, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
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

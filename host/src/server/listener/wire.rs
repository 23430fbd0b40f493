//! The socket as hyper sees it: reads through the gate, and no wait without an end.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::server::listener::exchange::Exchange;
use crate::server::listener::gate::{Gate, Step};
use crate::server::listener::{Config, head};
use crate::server::problem::Problem;

/// How much is read from the socket at once.
const READ: usize = 16 * 1024;
/// How long a connection that is to be closed may still bring a request that is on its way.
const LAST_CALL: Duration = Duration::from_millis(100);
/// How long a client may take to notice that its request was answered before it was read. To close at once would make the
/// system reset the connection, and the answer could be lost.
const LINGER: Duration = Duration::from_secs(1);
/// How much of what it still sends is read meanwhile.
const LINGER_BYTES: usize = 64 * 1024;

#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// For a head, from its first byte; and for the first byte of a connection.
    head: Duration,
    /// Between two requests.
    idle: Duration,
    /// For the client to take some of an answer.
    write: Duration,
}

impl Timeouts {
    pub(super) fn of(config: &Config) -> Self {
        Self { head: config.header_timeout, idle: config.idle_timeout, write: config.write_timeout }
    }
}

pub(super) struct Wire<S> {
    socket: S,
    gate: Gate,
    exchange: Arc<Exchange>,
    timeouts: Timeouts,
    /// What is being waited for on the read side, and until when.
    waits: Waits,
    reading: Timer,
    writing: Timer,
    /// Nothing more is read.
    ended: bool,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// For nothing yet.
    Nothing,
    /// For the first byte of all.
    First,
    /// For the first byte of another request.
    Next,
    /// For a request that may be on its way while the connection is to be closed.
    Last,
    /// For the rest of a head.
    Head,
    /// For a request to be answered; its body is looked after elsewhere.
    Answer,
}

/// How far the end of a connection has come.
#[derive(Clone, Copy, Debug)]
enum End {
    NotBegun,
    /// Our side is closed; so much of what the client still sends has been thrown away.
    Lingers(usize),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(socket: S, exchange: Arc<Exchange>, limits: head::Limits, timeouts: Timeouts) -> Self {
        Self {
            socket,
            gate: Gate::new(limits),
            exchange,
            timeouts,
            waits: Waits::Nothing,
            reading: Timer::default(),
            writing: Timer::default(),
            ended: false,
            end: End::NotBegun,
        }
    }

    /// Reads from the socket into the gate; how much.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // To fill it with zeros first would cost more than to read most requests.
        let mut space = [MaybeUninit::uninit(); READ];
        let mut read = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut read))?;
        self.gate.received(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }

    /// Reads on within a head, or before one. False: it will not come.
    fn fill_head(&mut self, step: Step, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.wait_for(match step {
            Step::Head => Waits::Head,
            _ if self.exchange.is_closing() => Waits::Last,
            _ => match self.waits {
                Waits::Nothing => Waits::First,
                Waits::Answer | Waits::Head => Waits::Next,
                waits => waits,
            },
        });
        match self.fill(cx) {
            Poll::Ready(read) => Poll::Ready(read.map(|bytes| bytes > 0)),
            Poll::Pending if !self.reading.is_over(cx) => Poll::Pending,
            Poll::Pending if self.waits == Waits::Head => {
                self.gate.refuse(Problem::read_timeout("the head of the request did not arrive in time"));
                self.begin();
                Poll::Ready(Ok(true))
            }
            Poll::Pending => Poll::Ready(Ok(false)),
        }
    }

    fn begin(&mut self) {
        self.wait_for(Waits::Answer);
        self.exchange.begin(self.gate.take_refusal());
    }

    fn wait_for(&mut self, waits: Waits) {
        if self.waits == waits {
            return;
        }
        self.waits = waits;
        match waits {
            Waits::Nothing | Waits::Answer => self.reading.stop(),
            Waits::First | Waits::Head => self.reading.start(self.timeouts.head),
            Waits::Next => self.reading.start(self.timeouts.idle),
            Waits::Last => self.reading.start(LAST_CALL),
        }
    }

    /// Lets a write wait, but not for ever.
    fn written<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing.stop();
            return written;
        }
        self.writing.start_if_stopped(self.timeouts.write);
        if !self.writing.is_over(cx) {
            return Poll::Pending;
        }
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Before it is asked whether an answer goes on, so that its end in between is not missed.
        this.exchange.wake_reader(cx.waker());
        while !this.ended {
            let step = this.gate.step(this.exchange.is_answering());
            let step =
                step.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the chunks of the body are none"))?;
            match step {
                Step::Begin => this.begin(),
                Step::Pass => {
                    buf.put_slice(&this.gate.pass(buf.remaining()));
                    return Poll::Ready(Ok(()));
                }
                Step::Hold => return Poll::Pending,
                Step::Body | Step::Watch => this.ended = ready!(this.fill(cx))? == 0,
                Step::Idle | Step::Head => this.ended = !ready!(this.fill_head(step, cx))?,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write(cx, bytes);
        this.written(written, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write_vectored(cx, parts);
        this.written(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let End::NotBegun = this.end {
            ready!(Pin::new(&mut this.socket).poll_shutdown(cx))?;
            if this.ended || this.gate.is_between_requests() {
                return Poll::Ready(Ok(()));
            }
            this.end = End::Lingers(0);
            this.reading.start(LINGER);
        }
        loop {
            let End::Lingers(wasted) = &mut this.end else { return Poll::Ready(Ok(())) };
            if this.reading.is_over(cx) {
                return Poll::Ready(Ok(()));
            }
            if *wasted >= LINGER_BYTES {
                return Poll::Pending;
            }
            let mut space = [MaybeUninit::uninit(); READ];
            let mut read = ReadBuf::uninit(&mut space);
            match ready!(Pin::new(&mut this.socket).poll_read(cx, &mut read)) {
                Ok(()) if !read.filled().is_empty() => *wasted += read.filled().len(),
                Ok(()) | Err(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// A time that may run out.
#[derive(Default)]
struct Timer {
    /// Kept for the next time.
    sleep: Option<Pin<Box<Sleep>>>,
    runs: bool,
}

impl Timer {
    fn start(&mut self, time: Duration) {
        self.runs = true;
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(Instant::now() + time),
            None => self.sleep = Some(Box::pin(sleep(time))),
        }
    }

    fn start_if_stopped(&mut self, time: Duration) {
        if !self.runs {
            self.start(time);
        }
    }

    fn stop(&mut self) {
        self.runs = false;
    }

    /// Whether it has run out. If not, the task is woken when it has.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        self.runs && self.sleep.as_mut().is_some_and(|sleep| sleep.as_mut().poll(cx).is_ready())
    }
}

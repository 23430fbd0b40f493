//! A service inside the test that breaks below HTTP: what it writes on each connection, and how it leaves, is the test's
//! choice. It answers nothing that it was not told to.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::interval;

use crate::wait::until;

/// What becomes of a connection once a request has come.
#[derive(Clone, Debug)]
pub enum Act {
    /// These bytes, and then the connection is closed in an orderly way.
    Close(Bytes),
    /// These bytes, and then it is reset.
    Reset(Bytes),
    /// These bytes, and then nothing for as long as the client waits.
    Hold(Bytes),
    /// These bytes, and then these again and again, for as long as the client takes them.
    Flood(Bytes, Bytes),
    /// These bytes, and then one byte each time.
    Drip(Bytes, Duration),
}

/// A service that is listening.
#[derive(Debug)]
pub struct FakeWire {
    address: SocketAddr,
    seen: Arc<watch::Sender<Seen>>,
    /// Taken when the service is dropped.
    runtime: Option<Runtime>,
}

/// What it has seen so far.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    connections: usize,
    /// Connections that the client has left while they were held.
    left: usize,
}

impl FakeWire {
    /// Starts a service that does the same on each connection. It listens when this returns.
    pub fn always(act: Act) -> Self {
        Self::start(move |_| act.clone())
    }

    /// Starts a service that does with each connection, counted from 0, what the test says.
    pub fn start(act: impl Fn(usize) -> Act + Send + Sync + 'static) -> Self {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a thread can be started");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        listener.set_nonblocking(true).expect("a listener can be made non-blocking");
        let seen = Arc::new(watch::Sender::new(Seen::default()));
        let told = seen.clone();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener on loopback");
            loop {
                let (stream, _) = listener.accept().await.expect("a listener on loopback accepts");
                let mut number = 0;
                told.send_modify(|seen| {
                    number = seen.connections;
                    seen.connections += 1;
                });
                let (act, told) = (act(number), told.clone());
                tokio::spawn(async move {
                    // A client that leaves is part of the tests.
                    _ = play(stream, act).await;
                    told.send_modify(|seen| seen.left += 1);
                });
            }
        });
        Self { address, seen, runtime: Some(runtime) }
    }

    /// Address and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Scheme and address, such as `http://127.0.0.1:40001`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections there were so far.
    pub fn connections(&self) -> usize {
        self.seen.borrow().connections
    }

    /// Waits until so many connections are over.
    pub async fn left(&self, count: usize) {
        until(&self.seen, &format!("{count} connections to be over"), |seen| (seen.left >= count).then_some(())).await;
    }
}

impl Drop for FakeWire {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn play(mut stream: TcpStream, act: Act) -> io::Result<()> {
    request(&mut stream).await?;
    match act {
        Act::Close(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await?;
        }
        Act::Reset(bytes) => {
            stream.write_all(&bytes).await?;
            stream.set_zero_linger()?;
        }
        Act::Hold(bytes) => {
            stream.write_all(&bytes).await?;
            while stream.read(&mut [0; 1024]).await? > 0 {}
        }
        Act::Flood(bytes, more) => {
            stream.write_all(&bytes).await?;
            loop {
                stream.write_all(&more).await?;
            }
        }
        Act::Drip(bytes, time) => {
            stream.write_all(&bytes).await?;
            let mut ticks = interval(time);
            loop {
                ticks.tick().await;
                stream.write_all(b" ").await?;
            }
        }
    }
    Ok(())
}

/// Reads a request with its body; of what is no HTTP, the first bytes.
async fn request(stream: &mut TcpStream) -> io::Result<()> {
    let mut read = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await?;
        read.extend_from_slice(&piece[..count]);
        let is_http = read.first().is_some_and(u8::is_ascii_uppercase);
        let text = String::from_utf8_lossy(&read);
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let in_chunks = head.lines().any(|line| line == "transfer-encoding: chunked");
            body.len() >= length.unwrap_or(0) && (!in_chunks || body.ends_with("0\r\n\r\n"))
        });
        if count == 0 || whole || !is_http {
            return Ok(());
        }
    }
}

//! A client that sends bytes as they are, and reads what comes: for what no library would send.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::http::Reply;
use crate::wait::within;

/// A connection of its own.
#[derive(Debug)]
pub struct RawClient {
    socket: TcpStream,
    unread: Vec<u8>,
}

impl RawClient {
    /// Connects.
    ///
    /// # Panics
    ///
    /// If nobody listens.
    pub async fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.expect("the host accepts connections");
        Self { socket, unread: Vec::new() }
    }

    /// Connects, with so little room for what it does not read that the other side notices soon.
    pub async fn connect_narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("the machine has sockets");
        socket.set_recv_buffer_size(4096).expect("a buffer can be small");
        let socket = socket.connect(address).await.expect("the host accepts connections");
        Self { socket, unread: Vec::new() }
    }

    /// Sends all of it. That the other side does not want it is no fault: see what it answers.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = within("bytes to be sent", self.socket.write_all(bytes.as_ref())).await;
        if let Err(error) = sent {
            assert!(is_gone(&error), "bytes can be sent: {error}");
        }
    }

    /// Sends these bytes every 10 ms until the other side closes the connection, or cuts it; what it says is kept to be
    /// read. That it does not want them is no fault.
    pub async fn drip(&mut self, bytes: impl AsRef<[u8]>) {
        let dripping = async {
            loop {
                self.send(bytes.as_ref()).await;
                if let Ok(false) = timeout(Duration::from_millis(10), self.read_more()).await {
                    break;
                }
            }
        };
        within("the other side to have enough", dripping).await;
    }

    /// Tells the other side that nothing more will be sent.
    pub async fn finish(&mut self) {
        // It may have gone.
        let _ = self.socket.shutdown().await;
    }

    /// The next answer, whole.
    ///
    /// # Panics
    ///
    /// If the connection ends before, or what comes is no HTTP.
    pub async fn answer(&mut self) -> Reply {
        let head = self.read_to(b"\r\n\r\n").await;
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("this is no answer: {head:?}"));
        let headers: http::HeaderMap = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
            .collect();
        let length = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
        let body =
            if status == 100 { Vec::new() } else { self.read(length.expect("a whole answer has a length")).await };
        Reply { status, headers, body: body.into() }
    }

    /// Reads up to and with this text.
    ///
    /// # Panics
    ///
    /// If the connection ends before.
    pub async fn read_until(&mut self, text: &str) -> String {
        self.read_to(text.as_bytes()).await
    }

    /// Waits until the other side closes the connection, or cuts it; whatever it still said.
    pub async fn rest(&mut self) -> String {
        while self.read_more().await {}
        String::from_utf8_lossy(&std::mem::take(&mut self.unread)).into_owned()
    }

    /// Waits until the other side closes the connection.
    ///
    /// # Panics
    ///
    /// If it says something before.
    pub async fn closed(&mut self) {
        assert_eq!(self.rest().await, "", "nothing more was to be said");
    }

    /// Cuts the connection, so that the other side is told of it as an error.
    pub fn reset(self) {
        self.socket.set_zero_linger().expect("a socket can be told to reset");
    }

    async fn read_to(&mut self, text: &[u8]) -> String {
        loop {
            if let Some(start) = self.unread.windows(text.len()).position(|window| window == text) {
                let read: Vec<u8> = self.unread.drain(..start + text.len()).collect();
                return String::from_utf8(read).expect("what is told is UTF-8");
            }
            self.need_more().await;
        }
    }

    async fn read(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            self.need_more().await;
        }
        self.unread.drain(..length).collect()
    }

    async fn need_more(&mut self) {
        let more = self.read_more().await;
        assert!(more, "the connection ends after {:?}", String::from_utf8_lossy(&self.unread));
    }

    /// Whether there was more.
    async fn read_more(&mut self) -> bool {
        match within("more of an answer", self.socket.read_buf(&mut self.unread)).await {
            Ok(bytes) => bytes > 0,
            Err(error) => {
                assert!(is_gone(&error), "an answer can be read: {error}");
                false
            }
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

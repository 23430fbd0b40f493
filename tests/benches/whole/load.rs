//! Sends requests over connections that stay open, each the next one when it has its answer. Written to cost little, since it runs
//! on the cores that it measures.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    pub(crate) took: Duration,
}

impl Load {
    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / self.took.as_secs_f64()
    }
}

/// A request as it goes out.
pub(crate) fn request(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

/// Asks for so long, over so many connections. Every answer must be a 200.
pub(crate) async fn run(address: SocketAddr, request: &[u8], connections: usize, time: Duration) -> Load {
    let began = Instant::now();
    let end = began + time;
    let each = (0..connections).map(|_| async {
        let mut connection = Connection::open(address).await;
        let mut requests = 0;
        while Instant::now() < end {
            connection.ask(request).await;
            requests += 1;
        }
        requests
    });
    let requests = futures_util::future::join_all(each).await.into_iter().sum();
    Load { requests, took: began.elapsed() }
}

pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the host listens");
        stream.set_nodelay(true).expect("a socket of TCP");
        Self { stream, buffer: Vec::with_capacity(16 << 10) }
    }

    /// Sends a request, and gives the length of the body of its answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> usize {
        self.stream.write_all(request).await.expect("the host reads");
        self.buffer.clear();
        let (head, length) = loop {
            self.read().await;
            if let Some(head) = head(&self.buffer) {
                break head;
            }
        };
        while self.buffer.len() < head + length {
            self.read().await;
        }
        length
    }

    async fn read(&mut self) {
        let read = self.stream.read_buf(&mut self.buffer).await.expect("the host answers");
        assert!(read > 0, "the host hung up after {:?}", String::from_utf8_lossy(&self.buffer));
    }
}

/// Of a whole head its length, and that of the body.
fn head(bytes: &[u8]) -> Option<(usize, usize)> {
    let end = bytes.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..end]);
    assert!(text.starts_with("HTTP/1.1 200"), "{text}{}", String::from_utf8_lossy(&bytes[end..]));
    let length =
        text.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").map(str::to_owned));
    Some((end, length.and_then(|it| it.trim().parse().ok()).expect("the answer says its length")))
}

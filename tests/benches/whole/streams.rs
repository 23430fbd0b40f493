//! Many callers at one time, each of whom is sent an answer word by word.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::model;

/// So many are asked for together where they are not all asked for at once.
const TOGETHER: usize = 50;

/// How a stream begins.
const STATUS: &[u8] = b"HTTP/1.1 200 ";

/// What came to all of them, sorted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams {
    /// From the request to the first word.
    pub(crate) first: Vec<Duration>,
    /// Of each word, how long it was on its way from the model, in microseconds.
    pub(crate) words: Vec<u64>,
    /// Those that did not end as they should.
    pub(crate) broken: usize,
}

/// So many ask at once. Each answer has so many words.
pub(crate) async fn run(address: SocketAddr, count: usize, words: usize) -> Streams {
    within(Duration::ZERO, address, count, words).await
}

/// The same, of whom fifty at a time ask, all of them within so much time.
pub(crate) async fn within(time: Duration, address: SocketAddr, count: usize, words: usize) -> Streams {
    let body = "{\"question\":\"hi\"}";
    let request = format!(
        "POST /score HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut all = Streams::default();
    let after = |index: usize| time.mul_f64((index / TOGETHER * TOGETHER) as f64 / count as f64);
    for one in join_all((0..count).map(|index| stream(address, &request, after(index)))).await {
        match one {
            Ok(one) if one.words.len() == words => {
                all.first.extend(one.first);
                all.words.extend(one.words);
            }
            Ok(_) | Err(_) => all.broken += 1,
        }
    }
    all.first.sort_unstable();
    all.words.sort_unstable();
    all
}

async fn stream(address: SocketAddr, request: &str, after: Duration) -> std::io::Result<Streams> {
    tokio::time::sleep(after).await;
    let asked = Instant::now();
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let (mut streams, mut buffer) = (Streams::default(), Vec::with_capacity(2 << 10));
    let mut read = 0;
    loop {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(streams);
        }
        if read == 0 && buffer.len() >= STATUS.len() {
            assert!(buffer.starts_with(STATUS), "{}", String::from_utf8_lossy(&buffer));
        }
        // Frames are small, and none of them is split by the host.
        let arrived = model::now();
        while let Some(end) = buffer[read..].windows(2).position(|it| it == b"\n\n") {
            let frame = String::from_utf8_lossy(&buffer[read..read + end]);
            if let Some(sent) = word(&frame) {
                if streams.words.is_empty() {
                    streams.first.push(asked.elapsed());
                }
                streams.words.push(arrived.saturating_sub(sent));
            }
            read += end + 2;
        }
        if buffer[read..].ends_with(b"0\r\n\r\n") {
            return Ok(streams);
        }
    }
}

/// The moment that a frame with a word says.
fn word(frame: &str) -> Option<u64> {
    let (_, text) = frame.split_once("\"answer\":")?;
    let digits: String = text.chars().skip_while(|it| !it.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The value below which so many of a hundred are.
pub(crate) fn percentile<T: Copy + Default>(sorted: &[T], percent: usize) -> T {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

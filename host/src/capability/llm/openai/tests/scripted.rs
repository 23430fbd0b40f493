//! A service on a port of its own that answers as a script says, one connection after the other.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

/// What the service does with a request that it has read.
#[derive(Debug)]
pub(crate) enum Move {
    /// Sends these bytes and closes the connection.
    Send(String),
    /// Sends these bytes, then nothing more, until the client goes away.
    Hold(String),
}

/// A request as it arrived.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

pub(crate) struct Scripted {
    address: SocketAddr,
    thread: JoinHandle<Vec<Request>>,
}

impl Scripted {
    pub(crate) fn start(script: impl IntoIterator<Item = Move> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let moves: Vec<_> = script.into_iter().collect();
        let play = move || {
            let mut requests = Vec::new();
            for next in moves {
                let (mut stream, _) = listener.accept().expect("a connection");
                let Some(request) = read(&stream) else { break };
                requests.push(request);
                match next {
                    Move::Send(bytes) => stream.write_all(bytes.as_bytes()).expect("a client that reads"),
                    Move::Hold(bytes) => {
                        stream.write_all(bytes.as_bytes()).expect("a client that reads");
                        // Ends when the client closes its side.
                        _ = stream.read(&mut [0]);
                    }
                }
            }
            requests
        };
        Self { address, thread: thread::spawn(play) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has been asked, once every request that was answered by [`Move::Hold`] has been given up.
    ///
    /// Meanwhile the runtime goes on: the HTTP client closes its connections there.
    pub(crate) async fn requests(self) -> Vec<Request> {
        let join = move || {
            // Ends the wait for a connection that the script has and the client did not make.
            _ = TcpStream::connect(self.address);
            self.thread.join().expect("a script that could be played")
        };
        tokio::task::spawn_blocking(join).await.expect("a script that has an end")
    }
}

/// Reads one request; none if the client says nothing.
fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    };
    let target = line().split(' ').nth(1)?.to_owned();
    let headers: BTreeMap<_, _> = std::iter::from_fn(|| {
        line().split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
    })
    .collect();
    let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().expect("a length"))];
    reader.read_exact(&mut body).expect("a body");
    Some(Request { target, headers, body: String::from_utf8(body).expect("UTF-8") })
}

/// A whole answer.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Move {
    let length = body.len();
    Move::Send(format!("HTTP/1.1 {status} X\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"))
}

/// The head of a streamed answer and its first bytes. It ends when the connection does.
pub(crate) fn stream(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream; charset=utf-8\r\n\r\n{body}")
}

//! A collector that takes everything and looks at nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::wire;

/// Runs on a thread of its own. It ends with the process.
#[derive(Clone)]
pub(crate) struct Sink {
    address: SocketAddr,
    bytes: Arc<AtomicU64>,
}

impl Sink {
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a listener can be asked");
        let sink = Self { address: listener.local_addr().expect("an address"), bytes: Arc::default() };
        let bytes = Arc::clone(&sink.bytes);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                loop {
                    let (stream, _) = listener.accept().await.expect("a connection");
                    tokio::spawn(take(stream, Arc::clone(&bytes)));
                }
            });
        });
        sink
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many bytes of bodies have come.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Requests of one connection, whose bodies say how long they are.
async fn take(mut stream: TcpStream, bytes: Arc<AtomicU64>) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(64 << 10);
    while let Some(body) = wire::body(&mut stream, &mut buffer).await? {
        bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
            .await?;
    }
    Ok(())
}

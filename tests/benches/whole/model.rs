//! A service of models that answers after a while, word by word, and costs little. Each word is the moment it was sent, so that
//! whoever reads it at the other end knows how long it was on its way.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::wire;

/// When this process began to count.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Microseconds since then.
pub(crate) fn now() -> u64 {
    u64::try_from(EPOCH.elapsed().as_micros()).expect("a process does not run that long")
}

/// How it answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// Before the first word.
    pub(crate) delay: Duration,
    pub(crate) words: usize,
    /// Between two words.
    pub(crate) pause: Duration,
}

/// Runs on a thread of its own. It ends with the process.
pub(crate) struct Model {
    address: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    waiting: Arc<AtomicUsize>,
}

impl Model {
    pub(crate) fn start(manner: Manner) -> Self {
        LazyLock::force(&EPOCH);
        let (tell, told) = std::sync::mpsc::channel();
        let (manner, waiting) = (Arc::new(Mutex::new(manner)), Arc::new(AtomicUsize::new(0)));
        let (its, counted) = (Arc::clone(&manner), Arc::clone(&waiting));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let socket = TcpSocket::new_v4().expect("a socket");
                socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
                // Thousands come at the same moment.
                let listener = socket.listen(16_384).expect("a listener");
                tell.send(listener.local_addr().expect("an address")).expect("somebody waits");
                loop {
                    let (stream, _) = listener.accept().await.expect("a connection");
                    tokio::spawn(talk(stream, Arc::clone(&its), Arc::clone(&counted)));
                }
            });
        });
        Self { address: told.recv().expect("it listens"), manner, waiting }
    }

    /// How it answers from now on.
    pub(crate) fn set(&self, manner: Manner) {
        *self.manner.lock().expect("nobody panics while holding it") = manner;
    }

    /// Requests that have come and have no word yet.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The text of a connection file for it.
    pub(crate) fn connection(&self) -> String {
        format!(
            "name: open_ai_connection\ntype: open_ai\napi_key: sk-of-the-bench\nbase_url: 'http://{}/v1'\n",
            self.address
        )
    }
}

async fn talk(mut stream: TcpStream, manner: Arc<Mutex<Manner>>, waiting: Arc<AtomicUsize>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    loop {
        let Some(body) = wire::body(&mut stream, &mut buffer).await? else { return Ok(()) };
        let streams = String::from_utf8_lossy(&body).contains("\"stream\":true");

        let Manner { delay, words, pause } = *manner.lock().expect("nobody panics while holding it");
        waiting.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(delay).await;
        waiting.fetch_sub(1, Ordering::Relaxed);
        if !streams {
            whole(&mut stream).await?;
            continue;
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            .await?;
        for word in 0..words {
            if word > 0 && !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            let sent = now();
            chunk(
                &mut stream,
                &format!(
                    "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"fake-model\",\"choices\":\
                     [{{\"index\":0,\"delta\":{{\"content\":\"{sent} \"}},\"finish_reason\":null}}]}}\n\n"
                ),
            )
            .await?;
        }
        let end = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"fake-model\",\"choices\":\
                   [{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        chunk(&mut stream, end).await?;
        stream.write_all(b"0\r\n\r\n").await?;
    }
}

async fn chunk(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await
}

async fn whole(stream: &mut TcpStream) -> std::io::Result<()> {
    let body = "{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"fake-model\",\"choices\":[{\"index\":0,\
                \"message\":{\"role\":\"assistant\",\"content\":\"yes\"},\"finish_reason\":\"stop\"}],\
                \"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1,\"total_tokens\":10}}";
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice()).await
}

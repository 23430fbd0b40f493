//! A web server inside the test: pages that the test writes, and a record of who asked for them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};

use crate::server::{Body, HangUp, Server, whole};

/// A web server that is listening. Unknown paths are 404.
pub struct FakeWeb {
    server: Server,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What one path answers.
#[derive(Clone, Debug)]
pub enum Page {
    /// Status 200 and these bytes.
    Bytes(Bytes),
    /// A redirect to this address, which may be relative.
    Redirect(String),
    Status(StatusCode),
}

impl FakeWeb {
    /// Starts a server of these pages. It listens when this returns.
    pub fn start(pages: impl IntoIterator<Item = (&'static str, Page)>) -> Self {
        let pages: Arc<HashMap<_, _>> = Arc::new(pages.into_iter().collect());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&asked);
        let server = Server::start(move |request| {
            let path = request.uri().path().to_owned();
            let page = pages.get(path.as_str()).cloned().unwrap_or(Page::Status(StatusCode::NOT_FOUND));
            log.lock().unwrap_or_else(PoisonError::into_inner).push(path);
            answer(request, page)
        });
        Self { server, asked }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The whole address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address())
    }

    /// The paths that were asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn answer(_: Request<Bytes>, page: Page) -> Result<Response<Body>, HangUp> {
    let response = Response::builder();
    let response = match page {
        Page::Bytes(bytes) => response.body(whole(bytes)),
        Page::Redirect(to) => response.status(StatusCode::FOUND).header(header::LOCATION, to).body(whole("")),
        Page::Status(status) => response.status(status).body(whole("")),
    };
    Ok(response.expect("the test gives a valid address"))
}

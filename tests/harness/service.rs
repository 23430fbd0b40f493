//! An HTTP service inside the test that is no model: what it answers is the test's own function.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};

use crate::server::{Server, whole};

/// A service that is listening.
pub struct FakeService {
    server: Server,
    requests: Arc<Mutex<Vec<Request<Bytes>>>>,
}

impl FakeService {
    /// Starts a service. It listens when this returns.
    pub fn start(answer: impl Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync + 'static) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&requests), Arc::new(answer));
        let server = Server::start(move |request| {
            let response = answer(&request);
            log.lock().unwrap_or_else(PoisonError::into_inner).push(request);
            async move { Ok(response.map(whole)) }
        });
        Self { server, requests }
    }

    /// Scheme and address, such as `http://127.0.0.1:40001`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request<Bytes>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The request, if there was exactly one.
    ///
    /// # Panics
    ///
    /// If there was none, or more.
    #[track_caller]
    pub fn only_request(&self) -> Request<Bytes> {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "requests: {requests:?}");
        requests.remove(0)
    }
}

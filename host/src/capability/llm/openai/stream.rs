//! A streamed answer: events out of the response's body, until the service says that it is done.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use reqwest::Response;
use tokio::time::Instant;

use super::super::backend::{ChatEvent, ChatStream};
use super::super::sse::Events;
use super::failure::Broken;
use super::{MAX_REFUSAL, Service, body, concluded, failure, media_type};
use crate::boundary::error::{CallError, CallErrorKind};
use crate::capability::upstream::Try;

/// Bytes of one event. A piece of an answer has some hundred; whole tool calls have been seen in one.
const MAX_EVENT: usize = 1024 * 1024;

/// The data of the event behind the last one.
const DONE: &str = "[DONE]";

/// The stream of an accepted request.
pub(super) async fn open(
    service: Arc<Service>,
    response: Response,
    attempt: Try,
    deadline: Instant,
) -> Result<ChatStream, CallError> {
    let media_type = media_type(&response);
    if !matches!(media_type.as_str(), "text/event-stream" | "") {
        // Mostly an error that goes by the name of success.
        let body = service.read(response, MAX_REFUSAL, deadline).await.unwrap_or_default();
        attempt.failed();
        return Err(match body::chunk(&String::from_utf8_lossy(&body)) {
            Err(refusal @ body::Wrong::Refusal(_)) => service.not_understood(refusal),
            _ => failure::not_understood(&format!("the reply is {media_type:?} and not an event stream")),
        });
    }
    let answer = Answer {
        service,
        response,
        deadline,
        events: Events::new(MAX_EVENT),
        ready: VecDeque::new(),
        received: 0,
        began: false,
        finished: false,
        done: false,
    };
    Ok(stream::unfold(Some((answer, attempt)), |reading| async {
        let (mut answer, attempt) = reading?;
        match answer.next().await {
            Ok(Some(event)) => Some((Ok(event), Some((answer, attempt)))),
            Ok(None) => {
                attempt.succeeded();
                None
            }
            Err(broken) => Some((Err(concluded(attempt, broken)), None)),
        }
    })
    .boxed())
}

struct Answer {
    service: Arc<Service>,
    response: Response,
    deadline: Instant,
    events: Events,
    /// Told by the service and not yet asked for.
    ready: VecDeque<ChatEvent>,
    /// Bytes so far.
    received: usize,
    /// The id has been told.
    began: bool,
    /// The last piece of the answer has come; what follows only counts.
    finished: bool,
    /// Nothing more will come.
    done: bool,
}

impl Answer {
    async fn next(&mut self) -> Result<Option<ChatEvent>, Broken> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            if self.done {
                return Ok(None);
            }
            match self.events.take() {
                Some(data) => self.take(&data)?,
                None => self.receive().await?,
            }
        }
    }

    /// Understands one event.
    fn take(&mut self, data: &str) -> Result<(), Broken> {
        if data.trim() == DONE {
            self.done = true;
            return Ok(());
        }
        let chunk = body::chunk(data).map_err(|wrong| self.wrong(wrong))?;
        let named = !chunk.id.is_empty() || !chunk.model.is_empty();
        if named && !self.began {
            self.began = true;
            self.ready.push_back(ChatEvent::Began { id: chunk.id, model: chunk.model });
        }
        if let Some(delta) = chunk.delta {
            self.finished |= delta.finish_reason.is_some();
            self.ready.push_back(ChatEvent::Delta(delta));
        }
        self.ready.extend(chunk.usage.map(ChatEvent::Usage));
        Ok(())
    }

    /// Waits for more bytes, and notices when there are none.
    async fn receive(&mut self) -> Result<(), Broken> {
        let Some(bytes) = self.service.piece(&mut self.response, self.deadline).await? else {
            // Some services end without a word; without a reason to stop, though, an answer is cut.
            self.done = self.finished;
            let broken_off = || Broken::by_service(failure::broken_off(&self.service.name));
            return if self.done { Ok(()) } else { Err(broken_off()) };
        };
        self.received += bytes.len();
        if self.received > self.service.limits.max_reply {
            let limit = self.service.limits.max_reply;
            let error = failure::not_understood(&format!("the streamed reply is larger than {limit} bytes"));
            return Err(Broken::by_us(error));
        }
        self.events
            .push(&bytes)
            .map_err(|wrong| Broken::by_service(failure::not_understood(&format!("the stream is broken: {wrong}"))))
    }

    fn wrong(&self, wrong: body::Wrong) -> Broken {
        match wrong {
            // Here a service has no status to report with: its error is one of the service, not of its words.
            body::Wrong::Refusal(refusal) => {
                let error = failure::reported(&self.service.endpoint.redacted(refusal));
                // A filter finds fault with the words, and so the service works.
                let by_service = error.kind != CallErrorKind::Rejected;
                Broken { error, by_service }
            }
            shape @ body::Wrong::Shape(_) => Broken::by_service(self.service.not_understood(shape)),
        }
    }
}

//! What a fake model is told before it starts.

use http::StatusCode;
use serde_json::Value;

use super::FakeModel;

/// How a [`FakeModel`] behaves. Made by [`FakeModel::echo`] and its siblings, ended by [`Script::start`].
#[derive(Clone, Debug)]
pub struct Script {
    pub(super) answer: Answer,
    pub(super) gated: bool,
    pub(super) hang_ups: usize,
    /// With which status, and how many times.
    pub(super) failing: Option<(StatusCode, usize)>,
    pub(super) retry_after: Option<String>,
    pub(super) stream: StreamFault,
    pub(super) tells_usage: bool,
}

/// What becomes of a stream after some frames.
#[derive(Clone, Copy, Debug)]
pub(super) enum StreamFault {
    None,
    CutAfter(usize),
    HoldAfter(usize),
}

#[derive(Clone, Debug)]
pub(super) enum Answer {
    Echo,
    Text(String),
    Message(Value),
}

impl Script {
    pub(super) fn new(answer: Answer) -> Self {
        Self {
            answer,
            gated: false,
            hang_ups: 0,
            failing: None,
            retry_after: None,
            stream: StreamFault::None,
            tells_usage: true,
        }
    }

    /// Answers the first requests with this status.
    #[must_use]
    pub fn failing(mut self, status: StatusCode, times: usize) -> Self {
        self.failing = Some((status, times));
        self
    }

    /// Sends this `Retry-After` with each failure.
    #[must_use]
    pub fn retry_after(mut self, value: impl Into<String>) -> Self {
        self.retry_after = Some(value.into());
        self
    }

    /// Closes the connection of the first requests instead of answering.
    #[must_use]
    pub fn hanging_up(mut self, times: usize) -> Self {
        self.hang_ups = times;
        self
    }

    /// Holds each request until the test lets it through by [`FakeModel::release`].
    #[must_use]
    pub fn gated(mut self) -> Self {
        self.gated = true;
        self
    }

    /// Breaks the connection of each stream after so many frames. The first frame has no text.
    #[must_use]
    pub fn cutting_streams_after(mut self, frames: usize) -> Self {
        self.stream = StreamFault::CutAfter(frames);
        self
    }

    /// Holds each stream after so many frames until the test lets it go on by [`FakeModel::release`].
    #[must_use]
    pub fn holding_streams_after(mut self, frames: usize) -> Self {
        self.stream = StreamFault::HoldAfter(frames);
        self
    }

    /// Does not say what an answer cost, as some services do not.
    #[must_use]
    pub fn without_usage(mut self) -> Self {
        self.tells_usage = false;
        self
    }

    /// Starts the model. It listens when this returns.
    pub fn start(self) -> FakeModel {
        FakeModel::start(self)
    }
}

//! A model that is now there and now not, and the call by which nodes ask it: through door 3, past the real breaker and the
//! real budget of retries.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use wasmtime::component::Linker;

use super::dice::Dice;
use super::link::{Link, Way};
use crate::boundary::error::{CallError, CallErrorKind};
use crate::boundary::facts::{RpcReply, RpcRequest};
use crate::boundary::grants::{Ask, AskError};
use crate::boundary::policy::Rules;
use crate::boundary::{Capability, HostCall, Lend, Pass};
use crate::capability::upstream::{self, Upstream};

/// How long a call waits for an answer that does not come.
const SILENCE: Duration = Duration::from_secs(3);

/// The pause before the first further try; it doubles.
const BACK_OFF: Duration = Duration::from_millis(500);

/// Further tries.
const RETRIES: u32 = 2;

/// As one life of a host knows it.
#[derive(Debug)]
pub(super) struct Model {
    link: Link,
    dice: Dice,
    upstream: Arc<Upstream>,
}

impl Model {
    pub(super) fn new(link: Link, dice: Dice) -> Arc<Self> {
        Arc::new(Self { link, dice, upstream: Upstream::new("model", upstream::Config::default()) })
    }

    /// What the breaker thinks of it.
    pub(super) fn breaker(&self) -> upstream::breaker::State {
        self.upstream.state()
    }

    async fn ask(&self) -> Result<(), CallError> {
        let unavailable = |why: &str| CallError::new(CallErrorKind::Unavailable, why);
        for tries in 0.. {
            let admitted = if tries == 0 { self.upstream.begin() } else { self.upstream.admit() };
            let Ok(mut attempt) = admitted else { return Err(unavailable("it is not asked")) };
            attempt.asked();
            if self.answers().await {
                attempt.succeeded();
                return Ok(());
            }
            attempt.failed();
            if tries == RETRIES || !self.upstream.may_retry() {
                break;
            }
            sleep(BACK_OFF * 2_u32.pow(tries)).await;
        }
        Err(unavailable("it does not answer"))
    }

    /// Whether it answers a try.
    async fn answers(&self) -> bool {
        sleep(self.dice.millis(5, 400)).await;
        match self.link.way() {
            Way::Open => !self.dice.one_in(30),
            Way::Shut => false,
            Way::Silent => {
                sleep(SILENCE).await;
                false
            }
        }
    }
}

/// What a node is granted.
pub(super) struct Service;

impl Capability for Service {
    const NAME: &'static str = "service";
    const INTERFACE: &'static str = "none";
    type Config = ();
    type Grant = Arc<Model>;
    type Rule = ();

    fn build((): ()) -> Self {
        Self
    }

    fn grant(&self, _: Ask<'_>, _: &Rules<()>) -> Result<Option<Arc<Model>>, Vec<AskError>> {
        Ok(None)
    }

    fn rule(_: &str) -> Result<(), String> {
        Ok(())
    }

    fn link<T: Lend>(_: &mut Linker<T>) -> wasmtime::Result<()> {
        Ok(())
    }
}

/// What a node asks.
pub(super) struct Question;

impl HostCall for Question {
    const API_CALL: &'static str = "openai_chat";
    type Capability = Service;
    type Reply = ();

    fn request_facts(&self, _: Option<&Arc<Model>>) -> RpcRequest {
        RpcRequest::default()
    }

    fn reply_facts((): &()) -> RpcReply {
        RpcReply::default()
    }

    async fn run(self, model: Arc<Arc<Model>>, _: Pass) -> Result<(), CallError> {
        if model.dice.one_in(40) {
            // As a panic, but that nothing is printed.
            std::panic::resume_unwind(Box::new("a panic of a capability"));
        }
        model.ask().await
    }
}

//! The scheduler alone, in time that a test moves: whatever its nodes do and in whichever order they end, a flow comes to
//! what an interpreter that runs one node after the other comes to; and a run that is given up at any moment leaves nothing
//! behind.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use tokio::runtime::{Builder, Handle};
use tokio::time::{sleep, timeout};

use super::dice::Dice;
use super::nodes::{Double, Habits, Seen};
use crate::boundary::budget;
use crate::flow::inputs::Inputs;
use crate::flow::value::Json;
use crate::id::RequestId;
use crate::scheduler::outcome::{Failure, Outcome};
use crate::scheduler::plan::tests::any_order::{Expected, Shape, shape};
use crate::scheduler::{Call, ReplyMode, Runner};
use crate::telemetry::tests::simulated::Spans;
use crate::telemetry::{Telemetry, Usage};

/// Runs a flow once, as a request of this number.
pub(super) async fn run(runner: &Runner, request: u32) -> Result<Vec<(String, Json)>, Failure> {
    let inputs = Inputs::decode(&runner.flow, b"{}").expect("all inputs have defaults");
    let call = Call {
        parent: Context::new(),
        request: RequestId::new(request.to_string()),
        request_from_caller: false,
        reply: ReplyMode::Whole,
        line: false,
        usage: Usage::default(),
    };
    match runner.run(inputs, call).await? {
        Outcome::Whole(whole) => Ok(whole.outputs),
        Outcome::Streaming(_) => Err(Failure::ManyStreams),
    }
}

/// What runs a flow on these nodes.
pub(super) fn runner(nodes: Double, telemetry: Telemetry, timeout: Duration) -> Runner {
    let flow = nodes.expected.flow.clone();
    let budget = budget::DEFAULT;
    Runner { flow, nodes: Arc::new(nodes), telemetry, guests: Handle::current(), timeout, budget }
}

/// Runs it in its own time; `patience` is after how many milliseconds it is given up.
fn in_time(shapes: Vec<Shape>, seed: u64, patience: Option<u64>) -> Result<(), TestCaseError> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let expected = Arc::new(Expected::of(shapes));
        let (spans, seen) = (Spans::from(0), Seen::default());
        let habits = Habits::Good { longest: 50 };
        let nodes = Double { expected: expected.clone(), habits, dice: Dice::new(seed), seen: seen.clone() };
        let runner = runner(nodes, spans.telemetry(), Duration::from_secs(60));
        let end = match patience {
            None => Some(run(&runner, 1).await),
            Some(patience) => timeout(Duration::from_millis(patience), run(&runner, 1)).await.ok(),
        };
        if let Some(end) = end {
            prop_assert_eq!(expected.check(&end), Ok(()));
        }
        // Tasks that were ended go with the next turn of the runtime.
        sleep(Duration::from_millis(1)).await;
        prop_assert_eq!(seen.take_wrong(), Vec::<String>::new());
        prop_assert_eq!((seen.running(), spans.open()), (0, 0));
        prop_assert!(spans.ended() > 0);
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_flow_comes_to_what_its_interpreter_comes_to(
        shapes in prop::collection::vec(shape(), 1..40),
        seed in any::<u64>(),
    ) {
        in_time(shapes, seed, None)?;
    }

    #[test]
    fn a_run_that_is_given_up_at_any_moment_leaves_nothing_behind(
        shapes in prop::collection::vec(shape(), 1..40),
        seed in any::<u64>(),
        patience in 0..200_u64,
    ) {
        in_time(shapes, seed, Some(patience))?;
    }
}

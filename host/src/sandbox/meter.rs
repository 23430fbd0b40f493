//! Watches a run while it goes on: how long it has been on a thread, and how often it has called the host.
//!
//! A guest makes way for others at every tick of the engine and in every call that waits, so that is how often its limits
//! are looked at. Time is that of the thread's own clock: what others take meanwhile, on a busy machine, is not its own.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::boundary::bounds::Calls;
use crate::boundary::error::{NodeError, NodeFailure};
use crate::boundary::facts::NodeUse;
use crate::id::NodeId;
use crate::sandbox::limits::Limits;
use crate::sandbox::pace::Pace;
use crate::sandbox::work::Work;

/// A run that is given up at its limits.
pub(super) struct Metered<'n, F> {
    run: Pin<Box<F>>,
    meter: Meter<'n>,
}

/// What it has taken so far, and what it may.
pub(super) struct Meter<'n> {
    pub(super) node: &'n NodeId,
    pub(super) limits: &'n Limits,
    pub(super) calls: Calls,
    pub(super) used: NodeUse,
    /// That of the node.
    pub(super) pace: &'n Pace,
    /// That of all guests.
    pub(super) work: &'n Work,
}

impl<'n, F> Metered<'n, F> {
    pub(super) fn new(run: F, meter: Meter<'n>) -> Self {
        Self { run: Box::pin(run), meter }
    }
}

impl<T, F: Future<Output = Result<T, NodeError>>> Future for Metered<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let _turn = self.meter.work.begin();
        let lap = Lap::begin();
        let polled = self.run.as_mut().poll(cx);
        let took = lap.end();
        self.meter.pace.turn(took);
        if polled.is_ready() {
            self.meter.pace.ended();
        }
        let cpu = self.meter.used.ran(took);
        match self.meter.over(cpu) {
            // What made too many calls has failed, also if the end came before anyone looked.
            Some(error) if polled.is_pending() || error.failure == NodeFailure::Calls => Poll::Ready(Err(error)),
            _ => polled,
        }
    }
}

impl Meter<'_> {
    /// The limit that is passed, if one is.
    fn over(&self, cpu: Duration) -> Option<NodeError> {
        let (node, limits) = (self.node.as_str(), self.limits);
        if self.calls.made() > limits.calls.0 as u64 {
            let calls = limits.calls;
            return Some(NodeError::new(
                NodeFailure::Calls,
                format!(
                    "node {node:?} made more than its {calls} calls to the host; raise `limits.calls` of the node if it \
                     may make more"
                ),
            ));
        }
        if cpu > limits.cpu {
            let limit = limits.cpu;
            return Some(NodeError::new(
                NodeFailure::Cpu,
                format!(
                    "node {node:?} computed for more than its {limit:?}; raise `limits.cpu` of the node if it may \
                     compute longer"
                ),
            ));
        }
        None
    }
}

/// What is at most between two looks at the clock of a thread, which are system calls: a short lap is not worth one.
const SHORT: Duration = Duration::from_millis(1);

thread_local! {
    /// When this thread last looked at its own clock, and what that said.
    static LOOKED: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
}

/// One turn of a run on its thread.
struct Lap {
    began: Instant,
    /// What the clock of the thread said at the beginning, or at most [`SHORT`] before.
    known: Duration,
}

impl Lap {
    fn begin() -> Self {
        let began = Instant::now();
        let known = match LOOKED.get() {
            Some((at, known)) if began.saturating_duration_since(at) <= SHORT => known,
            _ => look(began),
        };
        Self { began, known }
    }

    /// How long the thread has worked on it. Of a short one that is how long it was, and of any other it is at most [`SHORT`]
    /// too much.
    fn end(self) -> Duration {
        let now = Instant::now();
        let took = now.saturating_duration_since(self.began);
        if took <= SHORT { took } else { took.min(look(now).saturating_sub(self.known)) }
    }
}

fn look(now: Instant) -> Duration {
    let time = thread_time();
    LOOKED.set(Some((now, time)));
    time
}

/// How long this thread has run, ever.
fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::sandbox::limits::{Caps, Count};

    /// What becomes of a run that does this whenever it is polled, and is never done.
    async fn run(limits: Limits, mut step: impl FnMut(&Calls)) -> NodeError {
        let node = NodeId::new("n");
        let (calls, used) = (Calls::default(), NodeUse::default());
        let counted = calls.clone();
        let run = poll_fn(move |cx| {
            step(&counted);
            cx.waker().wake_by_ref();
            Poll::<Result<(), NodeError>>::Pending
        });
        let work = Work::default();
        let pace = Pace::default();
        let meter = Meter { node: &node, limits: &limits, calls, used, pace: &pace, work: &work };
        Metered::new(run, meter).await.expect_err("it is never done")
    }

    /// Has this thread compute for so long.
    fn work(time: Duration) {
        let until = thread_time() + time;
        while thread_time() < until {}
    }

    #[tokio::test]
    async fn time_on_the_thread_counts_and_other_time_does_not() {
        let limits = Limits { cpu: Duration::from_millis(20), ..Limits::defaults(&Caps::default()) };
        let mut polls = 0;
        let began = thread_time();
        let error = run(limits, |_| {
            polls += 1;
            work(Duration::from_millis(1));
        })
        .await;
        assert_eq!(error.failure, NodeFailure::Cpu);
        assert!((2..=21).contains(&polls), "{polls}");
        assert!(thread_time() - began >= limits.cpu);
    }

    #[tokio::test]
    async fn time_that_a_thread_waits_is_not_its_own() {
        let limits = Limits { cpu: Duration::from_millis(20), ..Limits::defaults(&Caps::default()) };
        let mut polls = 0;
        let error = run(limits, |_| {
            polls += 1;
            // As if another had this thread's processor.
            std::thread::spawn(|| work(Duration::from_millis(10))).join().expect("it works, and ends");
            work(Duration::from_millis(4));
        })
        .await;
        assert_eq!(error.failure, NodeFailure::Cpu);
        assert!((4..=6).contains(&polls), "{polls}");
    }

    #[tokio::test]
    async fn short_turns_count_as_well() {
        let limits = Limits { cpu: Duration::from_millis(5), ..Limits::defaults(&Caps::default()) };
        let mut polls = 0;
        let began = thread_time();
        let error = run(limits, |_| {
            polls += 1;
            work(Duration::from_micros(100));
        })
        .await;
        assert_eq!(error.failure, NodeFailure::Cpu);
        // Others may have had the processor for a part of a turn, which counts.
        assert!((2..=51).contains(&polls), "{polls}");
        assert!(thread_time() - began <= limits.cpu * 2);
    }

    #[tokio::test]
    async fn calls_are_counted_but_for_those_that_are_free() {
        let mut polls = 0;
        let error = run(Limits { calls: Count(10), ..Limits::defaults(&Caps::default()) }, |calls| {
            polls += 1;
            (0..3).for_each(|_| calls.count());
            calls.free();
        })
        .await;
        assert_eq!((error.failure, polls), (NodeFailure::Calls, 6));
    }
}

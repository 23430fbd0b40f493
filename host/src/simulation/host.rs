//! One life of a host: from its start to the moment when it is killed, has stopped, or has nothing left to do.
//!
//! What threads do in a host is done here by turns (`Life::turn`); requests and whatever writes spans down are tasks.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::{Instant, sleep, timeout};

use super::flows::{run, runner};
use super::model::Model;
use super::nodes::{Double, Habits, Seen};
use super::world::{End, HEALED, World};
use crate::clock;
use crate::journal::tests::Hand;
use crate::journal::{Journal, Limits};
use crate::scheduler::Runner;
use crate::scheduler::outcome::Failure;
use crate::scheduler::plan::tests::any_order::Expected;
use crate::server::admission::{self, Admission};
use crate::telemetry::Loss;
use crate::telemetry::tests::simulated::{Delivering, Exporter, Spans, deliverers, record};

/// After how long whoever starts hosts does it again, in the simulation's time: nobody waits for it.
const RESTART: Duration = Duration::from_secs(1);
/// Time of a request.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How long a turn takes, and one in which there is nothing to do.
const TURN: Duration = Duration::from_millis(20);
const IDLE: Duration = Duration::from_millis(60);

/// Within this time all must be at rest, once all is well. A judge still refuses one time in five, and what was set apart
/// is tried every half minute: twenty times, so that no run of a million fails by chance. Only one that fails waits so long.
const REST: Duration = Duration::from_secs(600);

/// Requests come for so long after all is well.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// Requests whose nodes ask the model are sent so often then, until one is served.
const PROBES: Duration = Duration::from_secs(3);

/// How long requests, and what is told of them, may take when the host stops.
const DRAIN: Duration = Duration::from_secs(30);
const FLUSH: Duration = Duration::from_secs(4);

const FEEDBACK_BYTES: u64 = 256 * 1024;

/// What a life came to.
pub(super) struct Lived {
    pub(super) time: Duration,
    /// Whether it came to start.
    pub(super) started: bool,
}

/// Lives, until this long has passed or the end is there.
pub(super) fn live(world: &mut World, length: Duration, end: End) -> Lived {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    let (time, life) = runtime.block_on(async {
        let began = Instant::now();
        let life = Life::live(world, began, length, end).await;
        (began.elapsed(), life)
    });
    // From here on nothing is written any more. Then the tasks end, which let go of what they held.
    let started = life.is_some();
    if let Some(life) = life {
        drop(life.hands);
        drop(runtime);
    }
    Lived { time, started }
}

/// What requests have come to, by their numbers. Clones are the same.
#[derive(Clone, Default)]
struct Outcomes(Arc<Mutex<BTreeMap<u32, Vec<String>>>>);

impl Outcomes {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Vec<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, request: u32, outcome: String) {
        self.lock().entry(request).or_default().push(outcome);
    }

    /// Those that have none.
    fn outstanding(&self) -> Vec<u32> {
        self.lock().iter().filter(|(_, outcomes)| outcomes.is_empty()).map(|(request, _)| *request).collect()
    }
}

/// What tasks tell. Clones are the same.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<Note>>>);

enum Note {
    Told(Duration, String),
    Wrong(String),
    Accepted(u32),
    /// The model has answered a request.
    ModelIsBack,
}

impl Notes {
    fn add(&self, note: Note) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }

    fn take(&self) -> Vec<Note> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a request needs of its host.
#[derive(Clone)]
struct Serving {
    began: Instant,
    admission: Admission,
    journal: Arc<Journal>,
    seen: Seen,
    notes: Notes,
    outcomes: Outcomes,
}

struct Life {
    began: Instant,
    hands: Vec<Hand>,
    exporters: Vec<Arc<Exporter>>,
    deliverers: Vec<Due>,
    /// What was in the journal of feedback when somebody looked last.
    news: u64,
    spans: Spans,
    /// Whether spans are being written down.
    putting: Arc<AtomicBool>,
    model: Arc<Model>,
    runners: Vec<(Arc<Runner>, Arc<Expected>)>,
    /// Its only node asks the model.
    probe: (Arc<Runner>, Arc<Expected>),
    serving: Serving,
    next_arrival: Duration,
    next_probe: Duration,
    model_is_back: bool,
    breaker: String,
}

/// A way of feedback, and when it looks again.
struct Due {
    delivering: Delivering,
    next: Option<std::time::Instant>,
}

impl Life {
    /// None: it did not come to start.
    async fn live(world: &mut World, began: Instant, length: Duration, end: End) -> Option<Self> {
        world.pass(began.elapsed());
        let Ok(mut life) = Self::start(world, began) else {
            world.tell(began.elapsed(), "the disk keeps it from starting");
            sleep(RESTART).await;
            return None;
        };
        if end == End::AtRest && life.leaves_files_alone() {
            // What is in them is told by the next process. Somebody sees the error, and sees to it that there is one.
            world.tell(began.elapsed(), "a file cannot be read, and it is started anew");
            drop(life.hands);
            sleep(RESTART).await;
            return None;
        }
        world.tell(began.elapsed(), "serving");
        loop {
            let busy = life.turn(world);
            let time = began.elapsed();
            match end {
                End::Killed if time >= length => {
                    life.killed(world);
                    return Some(life);
                }
                End::Stopped if time >= length => break,
                End::AtRest if life.is_at_rest(world) => break,
                End::AtRest if world.elapsed + time > HEALED + REST => {
                    world.wrong.push(format!("not at rest {REST:?} after all is well: {}", life.who_waits()));
                    break;
                }
                End::Killed | End::Stopped | End::AtRest => {}
            }
            sleep(if busy { TURN } else { IDLE }).await;
        }
        life.stop(world).await;
        Some(life)
    }

    fn start(world: &World, began: Instant) -> io::Result<Self> {
        let mut hands = Vec::new();
        let mut exporters = Vec::new();
        for (collector, disk) in world.collectors.iter().zip(&world.disks) {
            let (exporter, hand) = Exporter::start(collector, disk, world.spool_bytes)?;
            exporters.push(Arc::new(exporter));
            hands.push(hand);
        }
        let disk = world.disks.last().expect("the disk of feedback");
        let (journal, hand) = Journal::by_hand(disk, Limits { bytes: FEEDBACK_BYTES }, &mut |_, _| {})?;
        let journal = Arc::new(journal);
        hands.push(hand);
        let deliverers = deliverers(&journal, &world.judges);
        let deliverers =
            deliverers.into_iter().map(|delivering| Due { delivering, next: Some(clock::now()) }).collect();

        let (spans, seen) = (Spans::from(world.next_span), Seen::default());
        let (telemetry, model) = (spans.telemetry(), Model::new(world.model.clone(), world.dice.more()));
        let flow = |expected: &Arc<Expected>, habits: Habits| {
            let double = Double { expected: expected.clone(), habits, dice: world.dice.more(), seen: seen.clone() };
            (Arc::new(runner(double, telemetry.clone(), TIMEOUT)), expected.clone())
        };
        let runners = world.flows.iter().map(|it| flow(it, Habits::Mixed(model.clone()))).collect();
        let probe = flow(&world.probe, Habits::Asking(model.clone()));
        let places = admission::Config { concurrency: 4, queue: 3, queue_wait: Duration::from_millis(400) };
        let serving = Serving {
            began,
            admission: Admission::new(places),
            journal,
            seen,
            notes: Notes::default(),
            outcomes: Outcomes::default(),
        };
        let life = Self {
            began,
            hands,
            exporters,
            deliverers,
            news: 0,
            spans,
            putting: Arc::default(),
            model,
            runners,
            probe,
            serving,
            next_arrival: began.elapsed(),
            next_probe: Duration::ZERO,
            model_is_back: false,
            breaker: String::new(),
        };
        life.spawn(put(life.exporters.clone(), life.spans.clone(), life.putting.clone()));
        Ok(life)
    }

    /// Whether there are files that could not be read when it started.
    fn leaves_files_alone(&self) -> bool {
        self.serving.journal.status().damage.foreign > 0
            || self.exporters.iter().any(|exporter| exporter.leaves_files_alone())
    }

    #[expect(clippy::disallowed_methods, reason = "the requests of a test need no scheduler")]
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    /// What the threads of a host do meanwhile; whether there was anything to do.
    fn turn(&mut self, world: &mut World) -> bool {
        let time = self.began.elapsed();
        world.pass(time);
        let mut busy = self.write(world);
        busy |= self.deliver();
        if world.elapsed + time < HEALED + LAST_REQUESTS && time >= self.next_arrival {
            self.next_arrival = time + world.dice.millis(20, 900);
            let number = usize::try_from(world.dice.below(self.runners.len() as u64)).expect("it is an index");
            let (runner, expected) = self.runners[number].clone();
            // Most are patient.
            let patience = (world.dice.below(6) == 0).then(|| world.dice.millis(0, 4000));
            self.request(world, runner, expected, patience, IsProbe::No);
            busy = true;
        }
        if world.is_healed(time) && !self.model_is_back && time >= self.next_probe {
            self.next_probe = time + PROBES;
            let (runner, expected) = self.probe.clone();
            self.request(world, runner, expected, None, IsProbe::Yes);
        }
        self.note(world);
        busy
    }

    /// Lets the disks write, some now and some later.
    fn write(&mut self, world: &World) -> bool {
        let mut busy = false;
        for hand in &mut self.hands {
            for _ in 0..world.dice.below(4) {
                busy |= hand.turn();
            }
        }
        busy
    }

    fn deliver(&mut self) -> bool {
        let now = clock::now();
        // Does not wait: what is asked for is over.
        let news = self.serving.journal.wait(self.news, Some(std::time::Instant::now()));
        let is_new = std::mem::replace(&mut self.news, news) != news;
        let mut busy = false;
        for due in &mut self.deliverers {
            if is_new || due.next.is_some_and(|next| next <= now) {
                due.next = due.delivering.work();
                busy = true;
            }
        }
        busy
    }

    fn request(
        &self,
        world: &mut World,
        runner: Arc<Runner>,
        expected: Arc<Expected>,
        patience: Option<Duration>,
        is_probe: IsProbe,
    ) {
        let number = world.next_request;
        world.next_request += 1;
        self.serving.outcomes.lock().insert(number, Vec::new());
        let serving = self.serving.clone();
        self.spawn(async move {
            let asked = serving.clone().score(&runner, &expected, number);
            let outcome = match patience {
                Some(patience) => timeout(patience, asked).await.unwrap_or_else(|_| "left".to_owned()),
                None => asked.await,
            };
            if is_probe == IsProbe::Yes && outcome == "served" {
                serving.notes.add(Note::ModelIsBack);
            }
            serving.tell(format!("request {number} {outcome}"));
            serving.outcomes.note(number, outcome);
            serving.judge(number).await;
        });
    }

    /// Has the world know what tasks have told.
    fn note(&mut self, world: &mut World) {
        for note in self.serving.notes.take() {
            match note {
                Note::Told(time, what) => world.tell(time, what),
                Note::Wrong(what) => world.wrong.push(what),
                Note::Accepted(number) => drop(world.accepted.insert(number)),
                Note::ModelIsBack => self.model_is_back = true,
            }
        }
        world.wrong.extend(self.serving.seen.take_wrong());
        let breaker = format!("breaker: {:?}", self.model.breaker());
        if breaker != self.breaker {
            world.tell(self.began.elapsed(), &breaker);
            self.breaker = breaker;
        }
        if self.serving.admission.running() > self.serving.admission.limit() {
            world.wrong.push("more requests run than may".to_owned());
        }
    }

    fn is_at_rest(&self, world: &World) -> bool {
        world.is_healed(self.began.elapsed())
            && world.elapsed + self.began.elapsed() > HEALED + LAST_REQUESTS
            && self.model_is_back
            && self.has_no_requests()
            && self.has_put_all()
            && self.exporters.iter().all(|exporter| exporter.is_empty())
            && self.serving.journal.status().pending == 0
    }

    fn has_no_requests(&self) -> bool {
        let admission = &self.serving.admission;
        self.serving.outcomes.outstanding().is_empty() && admission.running() + admission.waiting() == 0
    }

    fn has_put_all(&self) -> bool {
        self.spans.open() == 0 && self.spans.is_empty() && !self.putting.load(Ordering::Relaxed)
    }

    fn who_waits(&self) -> String {
        let mut text = String::new();
        let admission = &self.serving.admission;
        let (running, waiting) = (admission.running(), admission.waiting());
        let _ = write!(
            text,
            "requests {:?}, {running} run and {waiting} wait; {} nodes run; {} spans are open; {}, and the model has {}; ",
            self.serving.outcomes.outstanding(),
            self.serving.seen.running(),
            self.spans.open(),
            self.breaker,
            if self.model_is_back { "answered" } else { "not answered" },
        );
        let _ = write!(text, "feedback: {:?}; ", self.serving.journal.status());
        for exporter in &self.exporters {
            let _ = write!(text, "exporter: {:?}; ", exporter.status());
        }
        text
    }

    /// The process ends now. What its spools have taken has to be there for the next one.
    fn killed(&mut self, world: &mut World) {
        self.note(world);
        world.with_sound_disks(|world| self.remember(world));
        world.tell(self.began.elapsed(), "killed");
    }

    fn remember(&self, world: &mut World) {
        for (number, exporter) in self.exporters.iter().enumerate() {
            let spooled = exporter.spooled();
            if !spooled.is_empty() {
                world.tell(self.began.elapsed(), format_args!("{} spans are spooled for {number}", spooled.len()));
            }
            // What an earlier process left without a word that it is safe may be lost by the disk that found it.
            let first = world.next_span;
            world.spooled[number].extend(spooled.into_iter().filter(|span| *span >= first));
            world.given_up[number] += exporter.lost(Loss::SpoolFull);
        }
        world.next_span = self.spans.next();
    }

    /// An orderly end: no more requests; those that run end; what is told of them is sent, or written down.
    async fn stop(&mut self, world: &mut World) {
        world.tell(self.began.elapsed(), "stopping");
        self.next_arrival = Duration::MAX;
        self.next_probe = Duration::MAX;
        self.until(world, DRAIN, |life| life.has_no_requests() && life.has_put_all()).await;
        if !self.has_no_requests() {
            world.wrong.push(format!("requests do not end: {}", self.who_waits()));
        }
        if !self.has_put_all() {
            world.wrong.push(format!("spans are not told: {}", self.who_waits()));
        }
        self.exporters.iter().for_each(|exporter| exporter.ask_to_stop(FLUSH));
        self.until(world, FLUSH * 2, |life| life.exporters.iter().all(|exporter| exporter.has_ended())).await;
        if !self.exporters.iter().all(|exporter| exporter.has_ended()) {
            world.wrong.push(format!("exporters do not end: {}", self.who_waits()));
        }
        // What was still to fail once would hit now this and now that, as threads write from here on.
        world.with_sound_disks(|_| ());
        let feedback = self.hands.pop();
        for (exporter, hand) in self.exporters.iter().zip(self.hands.drain(..)) {
            let writing = hand.let_go();
            exporter.finish();
            writing.join().expect("the thread that writes does not panic");
        }
        if let Some(mut hand) = feedback {
            while hand.turn() {}
        }
        self.note(world);
        for (number, exporter) in self.exporters.iter().enumerate() {
            let unaccounted = exporter.unaccounted(self.spans.ended());
            if unaccounted != 0 {
                let status = exporter.status();
                let ended = self.spans.ended();
                world.wrong.push(format!(
                    "of {ended} spans that ended here, nobody knows of {unaccounted} at collector {number}: {status:?}"
                ));
            }
        }
        for (request, outcomes) in self.serving.outcomes.lock().iter().filter(|(_, outcomes)| outcomes.len() != 1) {
            world.wrong.push(format!("request {request} has not one outcome: {outcomes:?}"));
        }
        world.with_sound_disks(|world| self.remember(world));
        world.tell(self.began.elapsed(), "stopped");
    }

    async fn until(&mut self, world: &mut World, within: Duration, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + within;
        while !done(self) && Instant::now() < deadline {
            let busy = self.turn(world);
            sleep(if busy { TURN } else { IDLE }).await;
        }
    }
}

/// Whether a request is there to see whether the model is back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IsProbe {
    Yes,
    No,
}

/// Takes what has ended to the exporters, one after the other, as their thread does.
async fn put(exporters: Vec<Arc<Exporter>>, spans: Spans, putting: Arc<AtomicBool>) {
    loop {
        putting.store(true, Ordering::Relaxed);
        let ended = spans.take();
        if !ended.is_empty() {
            for exporter in &exporters {
                exporter.put(&ended).await;
            }
        }
        putting.store(false, Ordering::Relaxed);
        sleep(Duration::from_millis(200)).await;
    }
}

impl Serving {
    fn tell(&self, what: String) {
        self.notes.add(Note::Told(self.began.elapsed(), what));
    }

    /// One request to `/score`, and what it came to.
    async fn score(self, runner: &Runner, expected: &Expected, number: u32) -> String {
        if self.admission.check().is_err() {
            return "refused".to_owned();
        }
        let Ok(_place) = self.admission.enter().await else { return "refused".to_owned() };
        let began = Instant::now();
        let end = run(runner, number).await;
        let took = began.elapsed();
        // A timer may be late by a millisecond.
        let in_time = took <= TIMEOUT + Duration::from_millis(2);
        let fits = match &end {
            Err(Failure::Timeout) => took >= TIMEOUT,
            end => self.seen.is_disturbed(&number.to_string()) && end.is_err() || expected.check(end).is_ok(),
        };
        if !in_time || !fits {
            let expected = expected.check(&end);
            self.notes.add(Note::Wrong(format!("request {number} ends after {took:?} with {end:?}: {expected:?}")));
        }
        match end {
            Ok(_) => "served".to_owned(),
            Err(failure) => format!("failed: {}", failure.code()),
        }
    }

    /// A person judges the answer.
    async fn judge(&self, number: u32) {
        match self.journal.append(record(number)).await {
            Ok(_) => {
                self.tell(format!("feedback is safe: {number}"));
                self.notes.add(Note::Accepted(number));
            }
            Err(error) => self.tell(format!("feedback is refused: {number}: {error}")),
        }
    }
}

//! What is around the host, outlives it, and knows what it promised: disks, destinations, the model, and what was seen.
//!
//! Things go away one after the other and come back in another order; meanwhile the host is killed or stopped and started
//! again. Then all is well, and the last life has to come to rest.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::dice::Dice;
use super::host::{self, Lived};
use super::link::{Link, Way};
use crate::chance;
use crate::journal::tests::medium::Medium;
use crate::scheduler::plan::tests::any_order::{Expected, Shape};
use crate::telemetry::tests::simulated::{Collector, Judge};

/// When things have gone away, and when they have come back.
const GOING: u64 = 20_000;
const COMING: u64 = 40_000;

/// From then on all is well.
pub(super) const HEALED: Duration = Duration::from_millis(COMING);

/// Collectors, and judges. As many as a host may have: OTLP and Application Insights.
const DESTINATIONS: usize = 2;

/// How a life of the host ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Killed,
    /// In order.
    Stopped,
    /// When nothing is left to do.
    AtRest,
}

/// What may go away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Model,
    Collector(usize),
    Judge(usize),
    Disk(usize),
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Away(Part, Way),
    Back(Part),
    /// A sector of a disk cannot be read until the disk is back.
    Spoiled(usize),
    /// One of the next operations of a disk fails.
    FailsOnce {
        disk: usize,
        operation: usize,
    },
}

pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) flows: Vec<Arc<Expected>>,
    /// Of one node.
    pub(super) probe: Arc<Expected>,
    pub(super) model: Link,
    collector_links: Vec<Link>,
    judge_links: Vec<Link>,
    pub(super) collectors: Vec<Collector>,
    pub(super) judges: Vec<Judge>,
    /// Of the spools, and of feedback.
    pub(super) disks: Vec<Medium>,
    pub(super) spool_bytes: u64,
    /// Disks that are away.
    broken: BTreeSet<usize>,
    /// What is still to happen, the last first.
    events: Vec<(Duration, Event)>,
    /// How long all earlier lives were.
    pub(super) elapsed: Duration,
    /// Feedback that was accepted.
    pub(super) accepted: BTreeSet<u32>,
    /// Spans that the spool of each collector had when a life ended.
    pub(super) spooled: Vec<BTreeSet<u32>>,
    /// Spans that made room for others, at each collector.
    pub(super) given_up: Vec<u64>,
    pub(super) next_span: u32,
    pub(super) next_request: u32,
    pub(super) story: Vec<String>,
    pub(super) wrong: Vec<String>,
}

/// What came of a run.
pub(super) struct Run {
    pub(super) story: Vec<String>,
    /// What must not be.
    pub(super) wrong: Vec<String>,
}

impl World {
    pub(super) fn run(seed: u64) -> Run {
        let dice = Dice::new(seed);
        chance::tests::give(Some(dice.more()));
        let mut world = Self::new(&dice);
        for (length, end) in world.lives() {
            while !world.live(length, end) {}
        }
        chance::tests::give(None);
        world.judge();
        Run { story: world.story, wrong: world.wrong }
    }

    fn new(dice: &Dice) -> Self {
        let links = || (0..DESTINATIONS).map(|_| Link::default()).collect::<Vec<_>>();
        let (collector_links, judge_links) = (links(), links());
        // Some spools are too small for what waits.
        let spool_bytes = if dice.one_in(4) { 3_000 } else { 1 << 20 };
        Self {
            dice: dice.more(),
            flows: (0..3).map(|_| Arc::new(Expected::random(dice.next(), 8))).collect(),
            probe: Arc::new(Expected::of(vec![Shape::alone()])),
            model: Link::default(),
            collectors: collector_links.iter().map(|link| Collector::new(link.clone(), dice.more())).collect(),
            judges: judge_links.iter().map(|link| Judge::new(link.clone(), dice.more())).collect(),
            collector_links,
            judge_links,
            disks: (0..=DESTINATIONS).map(|_| Medium::default()).collect(),
            spool_bytes,
            broken: BTreeSet::new(),
            events: events(dice),
            elapsed: Duration::ZERO,
            accepted: BTreeSet::new(),
            spooled: vec![BTreeSet::new(); DESTINATIONS],
            given_up: vec![0; DESTINATIONS],
            next_span: 0,
            next_request: 0,
            story: Vec::new(),
            wrong: Vec::new(),
        }
    }

    /// How long the host lives each time, and how that ends.
    fn lives(&self) -> Vec<(Duration, End)> {
        let ends = (0..self.dice.below(4)).map(|_| if self.dice.one_in(3) { End::Stopped } else { End::Killed });
        let mut lives: Vec<_> = ends.map(|end| (self.dice.millis(500, 15_000), end)).collect();
        lives.push((Duration::MAX, End::AtRest));
        lives
    }

    /// Whether it came to start.
    fn live(&mut self, length: Duration, end: End) -> bool {
        self.tell(Duration::ZERO, "started");
        let Lived { time, started } = host::live(self, length, end);
        self.elapsed += time;
        if started && end == End::Killed {
            let dice = self.dice.more();
            for disk in &mut self.disks {
                *disk = disk.crash(&mut |_| dice.one_in(2));
            }
            // A disk that was away is not back because the machine was started anew.
            self.broken.iter().for_each(|disk| self.disks[*disk].fail_from(1));
        }
        started
    }

    /// Notes what happens, this long after the beginning of a life.
    pub(super) fn tell(&mut self, time: Duration, what: impl std::fmt::Display) {
        let time = (self.elapsed + time).as_secs_f64();
        self.story.push(format!("{time:9.3} {what}"));
    }

    pub(super) fn is_healed(&self, time: Duration) -> bool {
        self.elapsed + time > HEALED && self.events.is_empty()
    }

    /// What has to happen by now.
    pub(super) fn pass(&mut self, time: Duration) {
        while let Some((_, event)) = self.events.pop_if(|(due, _)| *due <= self.elapsed + time) {
            match event {
                Event::Away(part, way) => {
                    self.set(part, way);
                    self.tell(time, format_args!("{part:?} is away: {way:?}"));
                }
                Event::Back(part) => {
                    self.set(part, Way::Open);
                    self.tell(time, format_args!("{part:?} is back"));
                }
                Event::Spoiled(disk) => {
                    if let Some((name, sector)) = self.sector(disk) {
                        self.tell(time, format_args!("Disk({disk}) has a bad sector: {name}, {sector:?}"));
                        self.disks[disk].spoil(&name, sector);
                    }
                }
                Event::FailsOnce { disk, operation } => {
                    self.disks[disk].fail([operation]);
                    self.tell(time, format_args!("Disk({disk}) fails once"));
                }
            }
        }
    }

    /// Some part of some file.
    fn sector(&self, disk: usize) -> Option<(String, Range<u64>)> {
        let mut names = self.disks[disk].names();
        self.dice.shuffle(&mut names);
        let start = self.dice.below(4096);
        Some((names.pop()?, start..start + 512))
    }

    fn set(&mut self, part: Part, way: Way) {
        match part {
            Part::Model => self.model.set(way),
            Part::Collector(number) => self.collector_links[number].set(way),
            Part::Judge(number) => self.judge_links[number].set(way),
            Part::Disk(number) if way == Way::Open => {
                self.broken.remove(&number);
                self.disks[number].fail_no_more();
                self.disks[number].spoil_no_more();
            }
            Part::Disk(number) => {
                self.broken.insert(number);
                self.disks[number].fail_from(1);
            }
        }
    }

    /// Looks at disks that do not fail for once.
    pub(super) fn with_sound_disks<T>(&mut self, look: impl FnOnce(&mut Self) -> T) -> T {
        self.disks.iter().for_each(Medium::fail_no_more);
        let spoiled: Vec<_> = self.disks.iter().map(Medium::spoil_no_more).collect();
        let seen = look(self);
        for (disk, spoiled) in self.disks.iter().zip(spoiled) {
            spoiled.into_iter().for_each(|(name, part)| disk.spoil(&name, part));
        }
        self.broken.iter().for_each(|disk| self.disks[*disk].fail_from(1));
        seen
    }

    /// Holds what has arrived against what was promised.
    fn judge(&mut self) {
        for (number, judge) in self.judges.iter().enumerate() {
            let missing = judge.misses(&self.accepted);
            if !missing.is_empty() {
                self.wrong.push(format!("feedback was accepted and never told to judge {number}: {missing:?}"));
            }
        }
        for (number, collector) in self.collectors.iter().enumerate() {
            let missing = collector.misses(&self.spooled[number]);
            // What made room is known by its number alone.
            if missing.len() as u64 > self.given_up[number] {
                let given_up = self.given_up[number];
                self.wrong.push(format!(
                    "spans were spooled and never told to collector {number}, of which {given_up} made room: {missing:?}"
                ));
            }
        }
        let lives = self.story.iter().filter(|line| line.ends_with("started")).count();
        for (number, twice) in self.collectors.iter().map(Collector::twice).enumerate() {
            if lives == 1 && twice > 0 {
                self.wrong.push(format!("{twice} spans were told twice to collector {number}, which had answered"));
            }
        }
    }
}

/// Parts that go away in one order and come back in another, and operations of disks that fail in between.
fn events(dice: &Dice) -> Vec<(Duration, Event)> {
    let mut parts = vec![Part::Model];
    for number in 0..DESTINATIONS {
        parts.extend([Part::Collector(number), Part::Judge(number)]);
    }
    parts.extend((0..=DESTINATIONS).map(Part::Disk));
    // Not all of them each time.
    parts.retain(|_| !dice.one_in(4));
    let mut events = Vec::new();
    dice.shuffle(&mut parts);
    for part in &parts {
        let way = if dice.one_in(2) { Way::Shut } else { Way::Silent };
        events.push((dice.millis(0, GOING), Event::Away(*part, way)));
    }
    dice.shuffle(&mut parts);
    for part in &parts {
        events.push((dice.millis(GOING, COMING), Event::Back(*part)));
    }
    for _ in 0..dice.below(12) {
        let disk = usize::try_from(dice.below(DESTINATIONS as u64 + 1)).expect("it is an index");
        let operation = usize::try_from(1 + dice.below(4)).expect("it is small");
        // What fails then has failed before all is well.
        events.push((dice.millis(0, GOING), Event::FailsOnce { disk, operation }));
    }
    for _ in 0..dice.below(4) {
        let disk = usize::try_from(dice.below(DESTINATIONS as u64 + 1)).expect("it is an index");
        events.push((dice.millis(0, GOING), Event::Spoiled(disk)));
    }
    // In the end no disk fails any more, whatever was still to fail.
    events.extend((0..=DESTINATIONS).map(|disk| (HEALED, Event::Back(Part::Disk(disk)))));
    events.sort_by_key(|(due, _)| std::cmp::Reverse(*due));
    events
}

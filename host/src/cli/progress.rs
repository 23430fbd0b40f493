//! How far a run over a data set is, for the person who waits: a bar on a terminal, else a line now and then.
//!
//! Our own and no crate: all of it is one line of text, which is the same for both.

use std::io::{IsTerminal as _, Write as _, stderr, stdout};
use std::time::{Duration, Instant};

use crate::batch::Tally;

/// How often a bar is drawn at most: faster than anyone reads, slower than lines may come.
const DRAW_EVERY: Duration = Duration::from_millis(100);
/// How often a log gets a line at most.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Width of the bar. With the text behind it, it stays on one line of 80 characters.
const BAR: usize = 20;

/// Shows how far a run is.
pub(super) struct Progress {
    style: Style,
    began: Instant,
    shown: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// One line that is drawn again and again.
    Bar,
    /// Lines one below the other.
    Lines,
}

impl Progress {
    /// `is_alone`: nothing else is written to the terminal meanwhile.
    pub(super) fn start(is_alone: bool) -> Self {
        let style = if is_alone && stderr().is_terminal() { Style::Bar } else { Style::Lines };
        let began = Instant::now();
        Self { style, began, shown: began }
    }

    /// Shows it, if it is time.
    pub(super) fn show(&mut self, tally: Tally) {
        let every = match self.style {
            Style::Bar => DRAW_EVERY,
            Style::Lines => TELL_EVERY,
        };
        if self.shown.elapsed() < every {
            return;
        }
        self.shown = Instant::now();
        let text = text(tally, self.began.elapsed());
        let drawn = match self.style {
            Style::Bar => format!("\r{} {text}\x1b[K", bar(tally)),
            Style::Lines => format!("{text}\n"),
        };
        put(&drawn);
    }

    /// Leaves the line to what comes next.
    pub(super) fn end(&self) {
        if self.style == Style::Bar {
            put("\r\x1b[K");
        }
    }
}

/// Whether results that go there would be written across a bar.
pub(super) fn shares_terminal_with_stdout() -> bool {
    stdout().is_terminal()
}

fn put(text: &str) {
    // Nobody to tell it is no reason to stop.
    let _ = stderr().write_all(text.as_bytes());
}

fn done(tally: Tally) -> usize {
    tally.lines - tally.left()
}

fn bar(tally: Tally) -> String {
    let full = BAR * done(tally) / tally.lines.max(1);
    format!("[{:<BAR$}]", "=".repeat(full))
}

/// `12 of 300 lines, 1 failed, 2.4/s, 2m 00s left`. Rate and rest are those of this run.
fn text(tally: Tally, took: Duration) -> String {
    let mut text = format!("{} of {} lines", done(tally), tally.lines);
    if tally.failed > 0 {
        text.push_str(&format!(", {} failed", tally.failed));
    }
    let ran = tally.completed + tally.failed;
    if ran > 0 && !took.is_zero() {
        let rate = ran as f64 / took.as_secs_f64();
        let left = Duration::try_from_secs_f64(tally.left() as f64 / rate).unwrap_or(Duration::MAX);
        text.push_str(&format!(", {rate:.1}/s, {} left", time(left)));
    }
    text
}

fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m {seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h {minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tally: Tally, seconds: u64, expected: &str) {
        assert_eq!(format!("{} {}", bar(tally), text(tally, Duration::from_secs(seconds))), expected);
    }

    #[test]
    fn progress_tells_what_is_done_and_how_long_the_rest_takes() {
        let tally = Tally { lines: 300, ..Tally::default() };
        check(tally, 5, "[                    ] 0 of 300 lines");
        let tally = Tally { completed: 11, failed: 1, ..tally };
        check(tally, 5, "[                    ] 12 of 300 lines, 1 failed, 2.4/s, 2m 00s left");
        check(tally, 600, "[                    ] 12 of 300 lines, 1 failed, 0.0/s, 4h 00m left");
        let tally = Tally { completed: 150, failed: 0, ..tally };
        check(tally, 15, "[==========          ] 150 of 300 lines, 10.0/s, 15s left");
    }

    #[test]
    fn lines_of_an_earlier_run_are_done_but_say_nothing_of_the_rate() {
        let tally = Tally { lines: 100, earlier: 90, completed: 10, failed: 0 };
        check(tally, 10, "[====================] 100 of 100 lines, 1.0/s, 0s left");
        check(Tally { completed: 0, ..tally }, 10, "[==================  ] 90 of 100 lines");
    }
}

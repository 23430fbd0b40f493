//! The terminal, for all that is printed: traces, metrics, log records. One thread writes, so that lines do not mix, and
//! so that a terminal that is scrolled back, or a pipe that nobody reads, holds up no request.

mod logs;
mod metrics;

use std::fmt;
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

pub(super) use logs::ConsoleLogs;
pub(super) use metrics::ConsoleMetrics;

/// Texts that wait for a slow terminal; further ones are not printed.
const QUEUE: usize = 64;

/// How long a flush waits, where nobody says.
pub(super) const FLUSH: Duration = Duration::from_secs(5);

/// Where things are printed.
pub struct Terminal {
    pub out: Box<dyn Write + Send>,
    pub color: bool,
}

/// What prints on a terminal. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Console(SyncSender<Job>);

/// Makes a text; told whether the terminal has colours.
type Text = Box<dyn FnOnce(bool) -> String + Send>;

enum Job {
    Print(Text),
    /// Answers when all before it has been printed.
    Flush(SyncSender<()>),
}

impl Console {
    /// # Errors
    /// If there is no thread for it.
    pub(super) fn start(terminal: Terminal) -> io::Result<Self> {
        let (queue, jobs) = mpsc::sync_channel(QUEUE);
        thread::Builder::new().name("weir-terminal".to_owned()).spawn(move || print(terminal, &jobs))?;
        Ok(Self(queue))
    }

    /// Has a text printed, with an end of line behind it. Whether that will happen: a terminal may be too slow.
    pub(super) fn print(&self, text: impl FnOnce(bool) -> String + Send + 'static) -> bool {
        self.0.try_send(Job::Print(Box::new(text))).is_ok()
    }

    /// Returns when all is on the terminal that was to be printed before.
    pub(super) fn flush(&self, within: Duration) -> OTelSdkResult {
        let (sender, done) = mpsc::sync_channel(1);
        // `send` waits for a place, which the thread makes unless the terminal is stuck; then this is, too, and the one
        // who stops telemetry has a deadline of its own.
        self.0.send(Job::Flush(sender)).map_err(|error| OTelSdkError::InternalFailure(error.to_string()))?;
        done.recv_timeout(within).map_err(|_| OTelSdkError::Timeout(within))
    }
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminal").field("color", &self.color).finish_non_exhaustive()
    }
}

/// Prints until nobody can ask for more.
fn print(terminal: Terminal, jobs: &Receiver<Job>) {
    let Terminal { mut out, color } = terminal;
    for job in jobs {
        match job {
            // A terminal that is gone is no reason to end; there is nobody left to tell.
            Job::Print(text) => drop(writeln!(out, "{}", text(color)).and_then(|()| out.flush())),
            // The one who asked may have given up.
            Job::Flush(done) => drop(done.send(())),
        }
    }
}

/// A text without what would move the cursor, change colours or begin a line that looks like another's.
fn harmless(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut harmless, it| {
        match it {
            // The two that begin lines, for some programs.
            '\u{2028}' | '\u{2029}' => harmless.extend(it.escape_unicode()),
            _ if it.is_control() => harmless.extend(it.escape_default()),
            _ => harmless.push(it),
        }
        harmless
    })
}

/// `KEY=VALUE`; a value in which there is a space stands in quotes.
fn pair(key: &str, value: &str) -> String {
    let quoted = value.is_empty() || value.contains([' ', '"', '=']);
    if quoted { format!("{}={value:?}", harmless(key)) } else { format!("{}={}", harmless(key), harmless(value)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_break_out_of_its_line() {
        assert_eq!(harmless("a\nb\u{1b}[31m\u{0}\u{2028}é"), "a\\nb\\u{1b}[31m\\u{0}\\u{2028}é");
        assert_eq!(pair("k", "two words\n"), r#"k="two words\n""#);
        assert_eq!(pair("k\n", "v"), "k\\n=v");
    }
}

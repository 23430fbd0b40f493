//! What hyper is given of the bytes that a client sends: one request at a time, and only such whose head was checked.
//! Pure: see wire.rs for the socket.
//!
//! A head that is refused is replaced by a stand-in, so that hyper writes the answer like any other: in its turn, with a
//! body, and as the last of the connection.

use bytes::{Buf as _, BytesMut};

use crate::server::listener::framing::{Broken, Framing};
use crate::server::listener::head::{self, Limits, Scan};
use crate::server::problem::Problem;

/// What hyper reads instead of a head that is refused.
pub const STAND_IN: &[u8] = b"GET /refused HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
/// How much of the next requests is read while one is being answered. As long as there is room, it shows if the client
/// goes away.
const READ_AHEAD: usize = 16 * 1024;

/// See the head of this file.
#[derive(Debug)]
pub struct Gate {
    limits: Limits,
    /// Came from the client and has not been passed on.
    held: BytesMut,
    /// So many of them may be.
    open: usize,
    state: State,
    /// Why the stand-in stands there.
    refusal: Option<Problem>,
}

#[derive(Debug)]
enum State {
    /// Before or within a head.
    Head(Scan),
    Body(Framing),
    /// After a head that was refused: nothing more is looked at.
    Refused,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A request begins: its head passes next.
    Begin,
    /// Hand bytes on.
    Pass,
    /// Read more of the body.
    Body,
    /// Read more of a head; nothing of it has come yet.
    Idle,
    /// Read more of a head that has begun.
    Head,
    /// Read ahead, for nothing but to see whether the client goes away.
    Watch,
    /// Wait for the answer to end.
    Hold,
}

impl Gate {
    pub fn new(limits: Limits) -> Self {
        Self { limits, held: BytesMut::new(), open: 0, state: State::Head(Scan::default()), refusal: None }
    }

    pub fn received(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// Whether hyper has all that came, and nothing of a request is outstanding.
    pub(super) fn is_between_requests(&self) -> bool {
        self.held.is_empty() && matches!(self.state, State::Head(_))
    }

    /// Why the request that comes next, the stand-in, is refused.
    pub fn take_refusal(&mut self) -> Option<Problem> {
        self.refusal.take()
    }

    /// What to do next; while a request is `answering`, no other begins.
    ///
    /// # Errors
    /// If a body is not framed as it should be.
    pub fn step(&mut self, answering: bool) -> Result<Step, Broken> {
        if self.open > 0 {
            return Ok(Step::Pass);
        }
        match &mut self.state {
            State::Refused => Ok(Step::Hold),
            State::Body(_) if self.held.is_empty() => Ok(Step::Body),
            State::Body(framing) => {
                let (taken, ended) = framing.take(&self.held)?;
                self.open = taken;
                if ended {
                    self.state = State::Head(Scan::default());
                }
                Ok(Step::Pass)
            }
            State::Head(_) if answering && self.held.len() < READ_AHEAD => Ok(Step::Watch),
            State::Head(_) if answering => Ok(Step::Hold),
            State::Head(_) => Ok(self.begin()),
        }
    }

    fn begin(&mut self) -> Step {
        let State::Head(scan) = &mut self.state else { return Step::Hold };
        if *scan == Scan::default() {
            // Some clients end a body with an empty line too many.
            while self.held.starts_with(b"\r\n") {
                self.held.advance(2);
            }
            // Half of such a line: what it is shows with the next byte.
            if self.held.as_ref() == b"\r" {
                return Step::Head;
            }
        }
        if self.held.is_empty() {
            return Step::Idle;
        }
        let read = match scan.find_end(&self.held, &self.limits) {
            Ok(None) => return Step::Head,
            Ok(Some(end)) => head::check(&self.held[..end], scan, &self.limits).map(|framing| (end, framing)),
            Err(problem) => Err(problem),
        };
        match read {
            Ok((end, framing)) => {
                self.open = end;
                self.state = framing.map_or_else(|| State::Head(Scan::default()), State::Body);
            }
            Err(problem) => self.refuse(problem),
        }
        Step::Begin
    }

    /// Lets the stand-in through instead of what came of a head. Then a request begins.
    pub(super) fn refuse(&mut self, problem: Problem) {
        self.held.clear();
        self.held.extend_from_slice(STAND_IN);
        self.open = STAND_IN.len();
        self.state = State::Refused;
        self.refusal = Some(problem);
    }

    /// Takes up to so many bytes that may be passed on.
    pub fn pass(&mut self, most: usize) -> BytesMut {
        let count = self.open.min(most);
        self.open -= count;
        self.held.split_to(count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { headers: 10, all: 1000, each: 100, uri: 100 };
    const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    /// All that passes of such bytes before another step is due, and that step.
    fn pass(gate: &mut Gate, bytes: &str, answering: bool) -> (String, Step) {
        gate.received(bytes.as_bytes());
        let mut passed = Vec::new();
        loop {
            match gate.step(answering).expect("well-formed") {
                Step::Begin => {}
                Step::Pass => passed.extend_from_slice(&gate.pass(7)),
                step => return (String::from_utf8(passed).expect("text"), step),
            }
            if passed.ends_with(b"\r\n\r\n") && gate.open == 0 && matches!(gate.state, State::Head(_)) {
                return (String::from_utf8(passed).expect("text"), Step::Pass);
            }
        }
    }

    /// All that passes of bytes that arrive in these parts, as requests that are answered at once; and how it ends.
    fn flow(parts: &[&[u8]]) -> (Vec<u8>, Option<&'static str>, bool) {
        let mut gate = Gate::new(LIMITS);
        let (mut passed, mut refused) = (Vec::new(), None);
        for part in parts {
            gate.received(part);
            loop {
                match gate.step(false) {
                    Ok(Step::Begin) => refused = gate.take_refusal().map(|problem| problem.code).or(refused),
                    Ok(Step::Pass) => passed.extend_from_slice(&gate.pass(7)),
                    Ok(Step::Body | Step::Idle | Step::Head | Step::Watch | Step::Hold) => break,
                    Err(Broken) => return (passed, refused, true),
                }
            }
        }
        (passed, refused, false)
    }

    /// What requests are made of, and what breaks them.
    const PIECES: [&str; 16] = [
        "GET / HTTP/1.1\r\n",
        "POST /score HTTP/1.1\r\n",
        "host: a\r\n",
        "content-length: 3\r\n",
        "transfer-encoding: chunked\r\n",
        "x: y\r\n",
        " folded\r\n",
        "\r\n",
        "\n",
        "abc",
        "3\r\nabc\r\n",
        "0\r\n\r\n",
        "0\r\n",
        "\0",
        "ffffffffffffffff\r\n",
        "\r",
    ];

    proptest! {
        #[test]
        fn however_bytes_arrive_the_same_passes(
            pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..24),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let bytes = pieces.concat().into_bytes();
            let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
            places.sort_unstable();
            let parts: Vec<_> = places.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect();
            let (passed, refused, broken) = flow(&parts);
            prop_assert_eq!(&(passed.clone(), refused, broken), &flow(&[&bytes]));
            // Nothing is made up but the stand-in, which is the last.
            let own = passed.strip_suffix(STAND_IN).unwrap_or(&passed);
            prop_assert!(refused.is_none() || own.len() < passed.len());
            prop_assert!(own.len() <= bytes.len());
        }
    }

    #[test]
    fn the_next_request_waits_until_the_one_before_is_answered() {
        let mut gate = Gate::new(LIMITS);
        assert_eq!(gate.step(false), Ok(Step::Idle));
        assert_eq!(pass(&mut gate, "\r\nGET", false), (String::new(), Step::Head));
        assert_eq!(pass(&mut gate, &format!("{}{GET}", &GET[3..]), false), (GET.into(), Step::Pass));
        assert_eq!(gate.step(true), Ok(Step::Watch));
        gate.received(&[b'x'; READ_AHEAD]);
        assert_eq!(gate.step(true), Ok(Step::Hold));
        assert_eq!(pass(&mut gate, "", false), (GET.into(), Step::Pass));
        assert!(!gate.is_between_requests());
    }

    #[test]
    fn an_empty_line_before_a_head_may_come_in_halves() {
        let mut gate = Gate::new(LIMITS);
        assert_eq!(pass(&mut gate, "\r", false), (String::new(), Step::Head));
        assert_eq!(pass(&mut gate, "\n\r", false), (String::new(), Step::Head));
        assert_eq!(pass(&mut gate, "\n", false), (String::new(), Step::Idle));
        assert_eq!(pass(&mut gate, GET, false), (GET.into(), Step::Pass));
    }

    #[test]
    fn a_body_passes_to_its_end_and_no_further() {
        let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n";
        let mut gate = Gate::new(LIMITS);
        assert_eq!(pass(&mut gate, &format!("{post}ab"), false), (format!("{post}ab"), Step::Body));
        assert_eq!(pass(&mut gate, &format!("c{GET}"), true), ("c".into(), Step::Watch));
        assert_eq!(pass(&mut gate, "", false), (GET.into(), Step::Pass));
        assert!(gate.is_between_requests());
    }

    #[test]
    fn a_head_that_is_refused_is_replaced_and_is_the_last() {
        let mut gate = Gate::new(LIMITS);
        let (passed, step) = pass(&mut gate, &format!("GET / HTTP/1.1\r\n\r\n{GET}"), false);
        assert_eq!((passed.as_bytes(), step), (STAND_IN, Step::Hold));
        assert_eq!(gate.take_refusal().map(|problem| problem.code), Some("MalformedRequest"));
        assert_eq!(pass(&mut gate, GET, false), (String::new(), Step::Hold));
        assert!(!gate.is_between_requests());
    }

    #[test]
    fn a_body_that_is_none_breaks() {
        let mut gate = Gate::new(LIMITS);
        gate.received(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n");
        assert_eq!(gate.step(false), Ok(Step::Begin));
        assert_eq!(gate.step(true), Ok(Step::Pass));
        gate.pass(1000);
        assert_eq!(gate.step(true), Err(Broken));
    }
}

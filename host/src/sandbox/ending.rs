//! What ended a run that did not come to its own end, in the words of the boundary.

use std::fmt::{self, Write as _};
use std::str::Utf8Error;

use wasmtime::component::ResourceTableError;
use wasmtime::{FrameInfo, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi_http::FieldMapError;

use crate::boundary::error::{NodeError, NodeFailure};
use crate::sandbox::limits::{Limits, fixed};

/// How far a run had come.
#[derive(Clone, Copy)]
pub(super) enum Phase {
    Instantiating,
    Running,
}

/// What wasmtime says of a run of a node under these limits, of which it may have been refused memory.
pub(super) fn of(error: wasmtime::Error, node: &str, limits: &Limits, refused_memory: bool, phase: Phase) -> NodeError {
    let error = match error.downcast::<NodeError>() {
        Ok(error) => return error,
        Err(error) => error,
    };
    let over = |limit: &str, what: fmt::Arguments<'_>| {
        format!("node {node:?} {what}; raise `limits.{limit}` of the node if it may have more")
    };
    let trap = error.downcast_ref::<Trap>().copied();
    let exited = error.is::<I32Exit>();
    // A guest that was refused memory ends itself, or runs into where it would have been; any other end has its own reason.
    let of_memory = refused_memory
        && match trap {
            Some(trap) => matches!(trap, Trap::UnreachableCodeReached | Trap::MemoryOutOfBounds),
            None => exited || matches!(phase, Phase::Instantiating),
        };
    let (failure, message) = match (Exhausted::of(&error), trap) {
        (None, _) if of_memory => {
            (NodeFailure::Memory, over("memory", format_args!("needs more than its {} of memory", limits.memory)))
        }
        (Some(Exhausted::Call), _) => (
            NodeFailure::CallTooLarge,
            over("call", format_args!("handed the host more than its {} in one call", limits.call)),
        ),
        (Some(Exhausted::Output), _) => {
            (NodeFailure::OutputTooLarge, over("output", format_args!("gave more than its {}", limits.output)))
        }
        (Some(Exhausted::Resources), _) => (
            NodeFailure::Resources,
            over("resources", format_args!("holds more than its {} resources open", limits.resources)),
        ),
        (None, Some(Trap::StackOverflow)) => (NodeFailure::Stack, format!("node {node:?} used up its stack")),
        (None, Some(_)) => (NodeFailure::Trap, format!("node {node:?} trapped")),
        // Whatever the status: a node answers by returning.
        (None, None) if exited => (NodeFailure::Trap, format!("node {node:?} exited instead of returning")),
        (None, None) => match phase {
            Phase::Instantiating => (NodeFailure::Host, format!("node {node:?} could not be run")),
            // It runs, and what it passes cannot be understood.
            Phase::Running => (NodeFailure::Protocol, format!("node {node:?} {}", misused(&error))),
        },
    };
    let failed = NodeError::new(failure, message).with_detail(detail(&error));
    match trap {
        Some(trap) => failed.with_trap(kind(trap)),
        None if exited => failed.with_trap("exit"),
        None => failed,
    }
}

/// What wasmtime refused a guest since it had used it up.
#[derive(Clone, Copy, Debug)]
enum Exhausted {
    /// The bytes of the arguments of one call.
    Call,
    /// The bytes of what it returns.
    Output,
    Resources,
}

impl Exhausted {
    /// wasmtime has no types for most of these errors; the tests of each limit hold their texts.
    fn of(error: &wasmtime::Error) -> Option<Self> {
        if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
            return Some(Self::Resources);
        }
        if is_too_much_at_once(error) {
            // Where there are frames, the guest was running, and so it was a call.
            return Some(if error.downcast_ref::<WasmBacktrace>().is_some() { Self::Call } else { Self::Output });
        }
        says(error, "store handle limit exceeded").then_some(Self::Resources)
    }
}

/// Whether a guest passed more to the host, or returned more, than it may at once.
pub(super) fn is_too_much_at_once(error: &wasmtime::Error) -> bool {
    says(error, "fuel allocated for hostcalls has been exhausted")
}

/// How a guest broke the contract of WebAssembly's components, which only one that is not made by a toolchain does. The
/// span has the whole of it.
fn misused(error: &wasmtime::Error) -> String {
    if error.is::<Utf8Error>() {
        "passed text that is not UTF-8".to_owned()
    } else if matches!(error.downcast_ref(), Some(FieldMapError::TotalSizeTooBig | FieldMapError::TooManyFields)) {
        format!("made HTTP headers of more than {}", fixed::HEADERS)
    } else if says(error, "requested len") {
        format!("asked for more than {} of random bytes in one call", fixed::RANDOM)
    } else if says(error, WRITE_TOO_LARGE) {
        format!("wrote more than {} at once", fixed::WRITE)
    } else {
        "passed a value that is not what its type says".to_owned()
    }
}

/// What a stream says that was given more than it takes.
pub(super) const WRITE_TOO_LARGE: &str = "more was written than the stream takes at once";

/// Asks what is at the bottom, in wasmtime's own words: what is above it has names of the guest.
fn says(error: &wasmtime::Error, text: &str) -> bool {
    error.root_cause().to_string().contains(text)
}

/// How much of an ending its span tells, in bytes: some frames with long names.
const DETAIL: usize = 16 << 10;

/// Longest name of a function that is looked into; longer ones are no program's.
const NAME: usize = 4 << 10;

/// What was at the bottom of it, and where the guest was.
fn detail(error: &wasmtime::Error) -> String {
    let mut detail = Detail::default();
    // Fails when there is too much, of which there is then as much as may be.
    let _ = detail.ending(error);
    detail.0
}

#[derive(Default)]
struct Detail(String);

impl Detail {
    fn ending(&mut self, error: &wasmtime::Error) -> fmt::Result {
        write!(self, "{}", error.root_cause())?;
        let frames = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).unwrap_or_default();
        frames.iter().try_for_each(|frame| self.frame(frame))
    }

    fn frame(&mut self, frame: &FrameInfo) -> fmt::Result {
        write!(self, "\n  at {}!", frame.module().name().unwrap_or("<unknown>"))?;
        match frame.func_name() {
            Some(name) if name.len() <= NAME => write!(self, "{:#}", rustc_demangle::demangle(name))?,
            Some(name) => self.write_str(name)?,
            None => write!(self, "<function {}>", frame.func_index())?,
        }
        frame.module_offset().map_or(Ok(()), |offset| write!(self, " (byte {offset})"))
    }
}

impl fmt::Write for Detail {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fits = text.floor_char_boundary(DETAIL.saturating_sub(self.0.len()));
        self.0.push_str(&text[..fits]);
        if fits == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// The trap as metrics name it: one of a few, since most that WebAssembly knows cannot happen to what is accepted here.
fn kind(trap: Trap) -> &'static str {
    match trap {
        Trap::StackOverflow => "stack_overflow",
        Trap::MemoryOutOfBounds => "memory_out_of_bounds",
        Trap::TableOutOfBounds => "table_out_of_bounds",
        Trap::IndirectCallToNull => "indirect_call_to_null",
        Trap::BadSignature => "bad_signature",
        Trap::IntegerOverflow => "integer_overflow",
        Trap::IntegerDivisionByZero => "integer_division_by_zero",
        Trap::BadConversionToInteger => "bad_conversion_to_integer",
        Trap::UnreachableCodeReached => "unreachable",
        Trap::Interrupt => "interrupt",
        Trap::CannotEnterComponent => "cannot_enter_component",
        Trap::CannotLeaveComponent => "cannot_leave_component",
        _ => "other",
    }
}

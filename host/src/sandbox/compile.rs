//! Makes machine code of a component: what costs time and memory that nobody can know beforehand.
//!
//! The compiler cannot be interrupted, and what it allocates is not bounded. So it runs in a process of its own, which is this
//! program with the verb `compile`: it may use so much memory, is ended at its deadline, gives way to whoever serves requests,
//! and takes nobody with it if it crashes. What it is given and what it gives goes through pipes that nobody else has.

use std::fs;
use std::io::{self, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, nice, set_parent_process_death_signal, setrlimit};
use wasmtime::Engine;

use crate::sandbox::accept::{self, Caps, Refusal};
use crate::sandbox::engine;
use crate::setting::{Reader, Setting, size_up_to, time_up_to};
use crate::units::Bytes;

pub static TIMEOUT: Setting =
    Setting::new("WEIR_COMPILE_TIMEOUT", "120s", "how long a component may take to compile; at most 1h");
pub static MEMORY: Setting =
    Setting::new("WEIR_COMPILE_MEMORY", "2GiB", "how much memory compiling a component may take; at most 64GiB");

/// The verb of the command line that is [`serve`].
pub const VERB: &str = "compile";

/// This program, also after its file was replaced.
const PROGRAM: &str = "/proc/self/exe";

/// Python takes half a minute on a quiet machine. Whoever needs more knows it.
const MOST_TIME: Duration = Duration::from_secs(3600);
const MOST_MEMORY: u64 = 64 << 30;

/// How much the compiler gives way: enough that a thread of the host has nine times its share.
const NICE: i32 = 10;

/// Time on all processors together, in seconds for each second of the deadline: a second line, should the process that waits
/// have gone.
const PROCESSORS: u64 = 64;

/// The largest machine code that is taken, in bytes. That of Python is 35 MiB, of the largest component that may be raised to
/// not ten times as much.
const MAX_CODE: u64 = 2 << 30;

/// How much is read of what the compiler says, in bytes.
const MAX_SAID: u64 = 16 << 10;

/// What compiling may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub caps: Caps,
    pub timeout: Duration,
    pub memory: Bytes,
}

/// Where it is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// In this process: for tests of modules, whose program has no verbs. Knows no deadline.
    #[default]
    Here,
    /// In a process of its own.
    Apart,
}

/// Why there is no machine code.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Of the compiler itself, or a refusal that another process tells.
    #[error("{0}")]
    Failed(String),
    #[error("it takes longer than {time:?} to compile; {} can be raised", TIMEOUT.variable)]
    TooSlow { time: Duration },
    #[error("it takes more than {memory} of memory to compile; {} can be raised", MEMORY.variable)]
    TooLarge { memory: Bytes },
    #[error("the compiler crashed over it ({0})")]
    Crashed(ExitStatus),
    #[error("the compiler cannot be run: {0}")]
    NotRun(#[from] io::Error),
}

impl Default for Limits {
    fn default() -> Self {
        Self { caps: Caps::default(), timeout: Duration::from_secs(120), memory: Bytes(2 << 30) }
    }
}

impl Limits {
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            caps: Caps::read(reader),
            timeout: reader.value(&TIMEOUT, time_up_to(MOST_TIME)),
            memory: Bytes(reader.value(&MEMORY, size_up_to(MOST_MEMORY)) as u64),
        }
    }
}

/// Machine code for an engine as [`engine::build`] makes it.
///
/// # Errors
/// If the component is not accepted, or cannot be compiled within the limits.
pub(super) fn compile(place: Place, engine: &Engine, bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, CompileError> {
    match place {
        Place::Here => here(engine, bytes, &limits.caps),
        Place::Apart => apart(bytes, limits),
    }
}

fn here(engine: &Engine, bytes: &[u8], caps: &Caps) -> Result<Vec<u8>, CompileError> {
    accept::look(bytes, caps)?;
    engine.precompile_component(bytes).map_err(|error| CompileError::Failed(format!("{error:#}")))
}

/// The other side of [`Place::Apart`]: reads a component, writes its machine code.
///
/// # Errors
/// What the one who waits shall be told.
pub fn serve(limits: &Limits, mut input: impl Read, mut output: impl Write) -> Result<(), CompileError> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    // The engine reserves address space for a pool that nobody uses here; what counts is what comes after.
    let engine = engine::build(1).map_err(|error| CompileError::Failed(format!("{error:#}")))?;
    confine(limits)?;
    let code = here(&engine, &bytes, &limits.caps)?;
    output.write_all(&code)?;
    Ok(output.flush()?)
}

/// From here on this process has its memory, and little more than that.
fn confine(limits: &Limits) -> io::Result<()> {
    let exactly = |value: u64| Rlimit { current: Some(value), maximum: Some(value) };
    setrlimit(Resource::As, exactly(address_space()?.saturating_add(limits.memory.0)))?;
    setrlimit(Resource::Cpu, exactly(limits.timeout.as_secs().max(1).saturating_mul(PROCESSORS)))?;
    // It writes to its pipe alone, and what it holds in memory is nobody's business.
    setrlimit(Resource::Fsize, exactly(0))?;
    setrlimit(Resource::Core, exactly(0))?;
    nice(NICE)?;
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// How much address space this process has taken, in bytes.
fn address_space() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let size = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    size.map(|size| size << 10).ok_or_else(|| io::Error::other("/proc/self/status has no VmSize"))
}

fn apart(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, CompileError> {
    let mut command = Command::new(PROGRAM);
    command.arg(VERB).env_clear().current_dir("/").args([
        format!("--size={}", limits.caps.size),
        format!("--functions={}", limits.caps.functions),
        format!("--memory={}", limits.memory.0),
        format!("--seconds={}", limits.timeout.as_secs().max(1)),
    ]);
    let mut compiler = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let said = converse(&mut compiler, bytes, limits.timeout);
    if !matches!(said, Some(Ok(_))) {
        compiler.kill()?;
    }
    let status = compiler.wait()?;
    match said {
        Some(said) => said?.result(status, limits),
        None => Err(CompileError::TooSlow { time: limits.timeout }),
    }
}

/// What a compiler has said until its end.
struct Said {
    code: Vec<u8>,
    errors: String,
}

/// Hands the bytes over and hears what comes. None: not in time, and the compiler is to be ended.
fn converse(compiler: &mut Child, bytes: &[u8], timeout: Duration) -> Option<io::Result<Said>> {
    let pipes = (compiler.stdin.take(), compiler.stdout.take(), compiler.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = pipes else {
        return Some(Err(io::Error::other("a process that was given pipes has none")));
    };
    let (sender, heard) = channel();
    // Owned by the thread, since it outlives this call if the compiler is ended.
    let bytes = bytes.to_vec();
    let talk = move || {
        // A compiler that ends early says why below.
        let _ = stdin.write_all(&bytes);
        drop(stdin);
        let (mut code, mut errors) = (Vec::new(), Vec::new());
        let heard = stdout.take(MAX_CODE).read_to_end(&mut code);
        // What it says goes into the pipe whole: see `told`.
        let heard = heard.and_then(|_| stderr.take(MAX_SAID).read_to_end(&mut errors));
        let _ = sender.send(heard.map(|_| Said { code, errors: String::from_utf8_lossy(&errors).trim().to_owned() }));
    };
    match thread::Builder::new().name("weir-compile".into()).spawn(talk) {
        Ok(_) => heard.recv_timeout(timeout).ok(),
        Err(error) => Some(Err(error)),
    }
}

/// What the command line says of an error of [`serve`]: no more than is read, since a pipe of which nobody reads takes only
/// so much, and errors have names in them that are the component's.
pub fn told(error: &CompileError) -> String {
    let mut text = error.to_string();
    text.truncate(text.floor_char_boundary(MAX_SAID as usize));
    text
}

/// How [`serve`] ends if it has said why, as the command line ends on what the user can mend.
const TOLD: i32 = 2;

impl Said {
    fn result(self, status: ExitStatus, limits: &Limits) -> Result<Vec<u8>, CompileError> {
        match status.code() {
            Some(0) => Ok(self.code),
            Some(TOLD) => Err(CompileError::Failed(self.errors)),
            // What Rust's standard library says before it aborts.
            _ if self.errors.contains("memory allocation of") => Err(CompileError::TooLarge { memory: limits.memory }),
            _ => Err(CompileError::Crashed(status)),
        }
    }
}

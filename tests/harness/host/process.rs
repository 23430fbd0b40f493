//! A process of the true binary: its outputs, its addresses, its end. What is asked of it: see ../host.rs.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use tokio::sync::watch;

use crate::wait::{PATIENCE, until};

/// How a process ended, and all that it wrote.
#[derive(Clone, Debug)]
pub struct Exit {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Exit {
    /// What it said on standard error, with the lines that were wrapped in one again.
    pub fn told(&self) -> String {
        let mut told = String::new();
        for line in self.stderr.lines() {
            match line.trim_start().strip_prefix("│ ") {
                Some(rest) => told.push_str(&format!(" {rest}")),
                None => told.push_str(&format!("\n{line}")),
            }
        }
        told
    }
}

/// A process, watched by threads of its own, so that it is looked after while a test blocks.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    state: Arc<watch::Sender<State>>,
    ears: Arc<Ears>,
    /// Closed when the process has ended: what `Drop`, which cannot await, waits for.
    ended: Mutex<mpsc::Receiver<()>>,
}

/// Whether its outputs are read.
#[derive(Debug, Default)]
struct Ears {
    closed: Mutex<bool>,
    opened: Condvar,
}

impl Ears {
    fn close(&self, closed: bool) {
        *self.closed.lock().expect("nobody panics while holding it") = closed;
        self.opened.notify_all();
    }

    fn wait(&self) {
        let closed = self.closed.lock().expect("nobody panics while holding it");
        drop(self.opened.wait_while(closed, |closed| *closed).expect("nobody panics while holding it"));
    }
}

#[derive(Debug, Default)]
struct State {
    stdout: String,
    stderr: String,
    /// Set last, when both outputs have been read to their end.
    status: Option<ExitStatus>,
}

/// The binary under test with an empty environment.
///
/// `WEIR_BIN` names one, such as that of a release. Else it is the one that cargo has built from `host/src/main.rs` for
/// these tests: see tests/Cargo.toml.
pub(crate) fn weir() -> Command {
    let built = || target_folder().join(format!("weir-under-test{}", std::env::consts::EXE_SUFFIX));
    let binary = std::env::var_os("WEIR_BIN").map_or_else(built, PathBuf::from);
    assert!(binary.is_file(), "no program {}; run the tests by cargo, or set WEIR_BIN", binary.display());
    let mut command = Command::new(binary);
    command.env_clear();
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.env("WEIR_CACHE_DIR", compile_cache());
    // Nobody has to notice before a host ends.
    command.env("WEIR_DRAIN_DELAY", "0");
    // Tests run beside builds, in a cgroup that may be nearly full.
    command.env("WEIR_MEMORY_LIMIT", "1024GiB");
    command
}

/// The compile cache of all tests. Compiled components are named by their content: shared, each guest is compiled once and
/// not once for each test.
pub fn compile_cache() -> PathBuf {
    target_folder().join("test-cache")
}

/// `target/<profile>`, two folders above the test that is running.
pub(crate) fn target_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    test.ancestors().nth(2).expect("cargo puts tests into target/<profile>/deps").to_owned()
}

impl Process {
    pub(crate) fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program under test can be started");
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a child has a positive pid");
        let state = Arc::new(watch::Sender::new(State::default()));
        let ears = Arc::new(Ears::default());
        let readers = [
            read(child.stdout.take().expect("stdout is a pipe"), &ears, &state, |state| &mut state.stdout),
            read(child.stderr.take().expect("stderr is a pipe"), &ears, &state, |state| &mut state.stderr),
        ];
        let (running, ended) = mpsc::channel();
        let watcher = Arc::clone(&state);
        thread::spawn(move || {
            wait(child, readers, &watcher);
            drop(running);
        });
        Self { pid, state, ears, ended: Mutex::new(ended) }
    }

    /// The admin and the public address, or how the process ended before it told them.
    pub(crate) async fn listening(&self) -> Result<(SocketAddr, SocketAddr), Exit> {
        until(&self.state, "the host to listen", |state| {
            let ready = address(&state.stdout, "admin on http://").zip(address(&state.stdout, "listening on http://"));
            ready.map(Ok).or_else(|| state.exit().map(Err))
        })
        .await
    }

    pub(crate) fn has_written(&self, text: &str) -> bool {
        let state = self.state.borrow();
        state.stdout.contains(text) || state.stderr.contains(text)
    }

    pub(crate) async fn wrote(&self, text: &str) {
        until(&self.state, &format!("the host to write {text:?}"), |state| {
            (state.stdout.contains(text) || state.stderr.contains(text)).then_some(())
        })
        .await;
    }

    /// The word that follows this text on standard error, as soon as it is there.
    pub(crate) async fn said(&self, text: &str) -> String {
        until(&self.state, &format!("a process to say {text:?}"), |state| {
            let (_, rest) = state.stderr.split_once(text)?;
            // Lines come whole.
            rest.split_whitespace().next().map(str::to_owned)
        })
        .await
    }

    pub(crate) async fn exit(&self) -> Exit {
        until(&self.state, "the host to end", State::exit).await
    }

    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    pub(crate) fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// From now on nobody reads what it writes.
    pub(crate) fn stop_reading(&self) {
        self.ears.close(true);
    }

    pub(crate) fn read_again(&self) {
        self.ears.close(false);
    }

    /// How long its threads have run, together.
    pub(crate) fn processor_time(&self) -> Duration {
        self.ticks(11)
    }

    /// How long the processes that it has started have run, of which it has seen the end.
    pub(crate) fn processor_time_of_children(&self) -> Duration {
        self.ticks(13)
    }

    /// Time in and outside of the kernel, by the place of the first of two fields.
    fn ticks(&self, first: usize) -> Duration {
        let stat = format!("/proc/{}/stat", self.pid.as_raw_nonzero());
        let stat = std::fs::read_to_string(stat).expect("the process runs");
        // Behind the name, which may have spaces in it; from there on the third is the first.
        let (_, fields) = stat.rsplit_once(") ").expect("a process has a name");
        let ticks = fields.split(' ').skip(first).take(2).map(|ticks| ticks.parse::<u64>().expect("a number of ticks"));
        // Linux tells programs of a hundred ticks a second, whatever it counts.
        Duration::from_millis(10 * ticks.sum::<u64>())
    }

    /// How many file descriptors it has open, and how many of them are sockets.
    pub(crate) fn descriptors(&self) -> (usize, usize) {
        let folder = format!("/proc/{}/fd", self.pid.as_raw_nonzero());
        let open: Vec<_> = std::fs::read_dir(folder).expect("the process runs").flatten().collect();
        let is_socket = |path: PathBuf| path.to_string_lossy().starts_with("socket:");
        let sockets = open.iter().filter(|entry| std::fs::read_link(entry.path()).is_ok_and(is_socket));
        (open.len(), sockets.count())
    }

    /// Its resident set, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        self.status("VmRSS:") << 10
    }

    /// How much of that is memory of guests, in bytes: their slots are one long run of mappings, of which some are of the images
    /// that guests begin with.
    pub(crate) fn guest_memory(&self) -> u64 {
        let path = format!("/proc/{}/smaps", self.pid.as_raw_nonzero());
        let mappings = std::fs::read_to_string(path).expect("the process runs");
        let (mut guests, mut run, mut is_of_guests, mut end) = (0, 0, false, "");
        for line in mappings.lines() {
            if let Some(resident) = line.strip_prefix("Rss:") {
                run += resident.trim_end_matches("kB").trim().parse::<u64>().expect("a number");
            } else if let Some((range, rest)) = line.split_once(' ')
                && let Some((from, to)) = range.split_once('-')
            {
                if from != end {
                    guests += if is_of_guests { run } else { 0 };
                    (run, is_of_guests) = (0, false);
                }
                is_of_guests |= rest.contains("wasm-memory-image");
                end = to;
            }
        }
        (guests + if is_of_guests { run } else { 0 }) << 10
    }

    pub(crate) fn threads(&self) -> u64 {
        self.status("Threads:")
    }

    /// What Linux says of it under this name; of memory, in KiB.
    fn status(&self, name: &str) -> u64 {
        let status = format!("/proc/{}/status", self.pid.as_raw_nonzero());
        let status = std::fs::read_to_string(status).expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("it is told of each process");
        line.trim_end_matches("kB").trim().parse().expect("a number")
    }

    pub(crate) fn limit_descriptors(&self, count: u64) {
        let limit = Rlimit { current: Some(count), ..getrlimit(Resource::Nofile) };
        prlimit(Some(self.pid), Resource::Nofile, limit).expect("a child can be limited");
    }

    pub(crate) fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        // A pid may be given to another process after the end was noticed.
        if self.state.borrow().status.is_none() {
            // The process may end in between; then there is nobody left to be told.
            let _ = kill_process(self.pid, signal);
        }
    }

    fn show(&self) {
        let state = self.state.borrow();
        eprintln!("── stdout of weir ──\n{}── stderr of weir ──\n{}────", state.stdout, state.stderr);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.read_again();
        self.terminate();
        let ended = self.ended.get_mut().expect("nobody panics while holding the receiver");
        if ended.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("weir did not end within {} seconds of SIGTERM and is killed", PATIENCE.as_secs());
            self.kill();
        }
        if thread::panicking() {
            self.show();
        }
    }
}

impl State {
    fn exit(&self) -> Option<Exit> {
        self.status.map(|status| Exit { status, stdout: self.stdout.clone(), stderr: self.stderr.clone() })
    }
}

/// Copies an output into the state, line by line.
fn read(
    output: impl Read + Send + 'static,
    ears: &Arc<Ears>,
    state: &Arc<watch::Sender<State>>,
    field: fn(&mut State) -> &mut String,
) -> JoinHandle<()> {
    let (ears, state) = (Arc::clone(ears), Arc::clone(state));
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        ears.wait();
        while output.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
            state.send_modify(|state| field(state).push_str(&String::from_utf8_lossy(&line)));
            line.clear();
            ears.wait();
        }
    })
}

fn wait(mut child: Child, readers: [JoinHandle<()>; 2], state: &watch::Sender<State>) {
    let status = child.wait().expect("a child can be waited for");
    for reader in readers {
        reader.join().expect("reading an output does not panic");
    }
    state.send_modify(|state| state.status = Some(status));
}

/// The address that follows a phrase at the beginning of a finished line.
fn address(output: &str, phrase: &str) -> Option<SocketAddr> {
    let line = output.lines().find_map(|line| line.strip_prefix(phrase))?;
    line.trim_end_matches('/').parse().ok()
}

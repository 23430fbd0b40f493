//! From the bytes of a component to something that can be instantiated: compiled once, kept on disk, linked.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::{fmt, io, thread};

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::bindings::NodePre;
use crate::boundary::bounds::Resolution;
use crate::boundary::error::NodeError;
use crate::capability::Capabilities;
use crate::clock;
use crate::sandbox::accept::{self, PAGE};
use crate::sandbox::clocks;
use crate::sandbox::compile::{self, CompileError};
use crate::sandbox::describe::DescribeError;
use crate::sandbox::engine::{self, PoolUse, Ticker};
use crate::sandbox::places::{self, Instances, Place, Places};
use crate::sandbox::precompiled::{Cache, Lookups};
use crate::sandbox::refused;
use crate::sandbox::store::State;
use crate::setting::Reader;
use crate::units::Bytes;

/// Bytes of a component that is compiled beside others: its functions are too few to share among processors.
const SMALL: usize = 1 << 20;

/// The SHA-256 of a component's bytes, in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(String);

/// A component that can be instantiated at once.
pub struct Component {
    pub digest: Digest,
    pub(super) instance: NodePre<State>,
    pub(super) code: wasmtime::component::Component,
    pub(super) engine: Engine,
    pub(super) clock: Resolution,
    /// What it says of itself, once it was asked.
    pub(super) described: OnceLock<Result<String, DescribeError>>,
    /// The largest linear memory that it has from its beginning.
    pub memory: Bytes,
    /// The interfaces it imports, such as `weir:flow/llm@0.1.0`.
    pub imports: Vec<String>,
    pub(super) places: Arc<Places>,
    /// Of a run: memories and tables.
    needs: (u32, u32),
}

/// Where components are compiled and kept. One for the process.
pub struct Workshop {
    engine: Engine,
    places: (u32, Arc<Places>),
    linker: Linker<State>,
    cache: Cache,
    limits: compile::Limits,
    place: compile::Place,
    clock: Resolution,
    /// As long as some flow uses it: a host that swaps flows for weeks must not keep them all.
    loaded: Mutex<HashMap<Digest, Weak<Component>>>,
    _ticker: Ticker,
}

/// How components are compiled, where they are kept between two starts, and how many run.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Where compiled components are kept between two starts. None: nowhere, everything is compiled anew.
    pub cache_dir: Option<PathBuf>,
    pub limits: compile::Limits,
    pub place: compile::Place,
    pub clock: Resolution,
    pub instances: Instances,
}

impl Config {
    pub fn read(reader: &mut Reader<'_>, cache_dir: Option<PathBuf>) -> Self {
        let (limits, clock) = (compile::Limits::read(reader), clocks::read(reader));
        Self { cache_dir, limits, clock, instances: Instances::read(reader), ..Self::default() }
    }
}

/// Why a component cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{name}: not a component this host can run: {reason}")]
    NotLoadable { name: String, reason: String },
    #[error("{name}: not a node: {reason}; a node is a component of the world weir:flow/node")]
    NotANode { name: String, reason: String },
}

/// Why the sandbox cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the WebAssembly engine cannot be set up: {0}")]
    Engine(String),
    #[error("the clock of the engine cannot be started")]
    Ticker(#[from] io::Error),
}

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        use fmt::Write as _;
        let mut text = String::with_capacity(64);
        for byte in Sha256::digest(bytes) {
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Workshop {
    /// Sets up the engine and links what the host offers.
    ///
    /// # Errors
    /// If the machine cannot give what the engine needs.
    pub fn open(config: Config) -> Result<Self, StartError> {
        let explain = |error: wasmtime::Error| StartError::Engine(format!("{error:#}"));
        let Instances(instances) = config.instances;
        let engine = engine::build(instances).map_err(explain)?;
        let places = (instances, Arc::new(Places::new(instances)));
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(explain)?;
        Capabilities::link(&mut linker).map_err(explain)?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let cache = Cache::open(config.cache_dir, hasher.finish());
        let ticker = Ticker::start(&engine)?;
        let Config { limits, place, clock, .. } = config;
        Ok(Self { engine, places, linker, cache, limits, place, clock, loaded: Mutex::default(), _ticker: ticker })
    }

    /// Loads a component, from the cache if it was compiled before. `name` is for messages.
    ///
    /// May compile, which takes seconds for large components: call it from a thread that may block.
    ///
    /// # Errors
    /// If the bytes are no component, need a feature that is not allowed or more of anything than they may, take too long or
    /// too much memory to compile, or export no node.
    pub fn load(&self, name: &str, bytes: &[u8]) -> Result<Arc<Component>, LoadError> {
        let digest = Digest::of(bytes);
        if let Some(component) = self.loaded().get(&digest).and_then(Weak::upgrade) {
            return Ok(component);
        }
        let component = Arc::new(self.link(name, digest.clone(), bytes)?);
        let mut loaded = self.loaded();
        loaded.retain(|_, component| component.strong_count() > 0);
        loaded.insert(digest, Arc::downgrade(&component));
        Ok(component)
    }

    /// Loads components as [`Workshop::load`] does, and gives them in that order. Of those that have to be compiled, small ones
    /// several at once. A large one has work for all processors by itself, and takes memory: one at a time.
    pub fn load_all(&self, all: &[(String, Cow<'static, [u8]>)]) -> Vec<Result<Arc<Component>, LoadError>> {
        let (mut loaded, mut seen) = (Vec::new(), HashSet::new());
        loaded.resize_with(all.len(), OnceLock::new);
        let load = |at: usize| loaded[at].get_or_init(|| self.load(&all[at].0, &all[at].1));
        let is_small = |at: &usize| all[*at].1.len() <= SMALL && seen.insert(Digest::of(&all[*at].1));
        let small: Vec<usize> = (0..all.len()).filter(is_small).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(at) = small.get(next.fetch_add(1, Ordering::Relaxed)) {
                load(*at);
            }
        };
        let workers = thread::available_parallelism().map_or(1, NonZero::get).min(small.len());
        thread::scope(|scope| {
            for _ in 1..workers {
                // Where the system gives no thread, this one does the work alone.
                let _ = thread::Builder::new().name("weir-load".into()).spawn_scoped(scope, work);
            }
            work();
        });
        (0..all.len()).for_each(|at| _ = load(at));
        loaded.into_iter().filter_map(OnceLock::into_inner).collect()
    }

    /// Bytes of the largest component that is taken.
    pub fn max_size(&self) -> usize {
        self.limits.caps.size
    }

    /// How the pool of instances is used at this moment.
    pub fn pool(&self) -> PoolUse {
        let (count, places) = &self.places;
        PoolUse { waiting: places.held() as u64, ..engine::pool_use(&self.engine, *count) }
    }

    /// How components became machine code so far.
    pub fn lookups(&self) -> Lookups {
        self.cache.lookups()
    }

    fn loaded(&self) -> MutexGuard<'_, HashMap<Digest, Weak<Component>>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes machine code, and tells whoever waits for the start what it is that takes so long.
    fn compile(&self, name: &str, bytes: &[u8]) -> Result<Vec<u8>, CompileError> {
        let began = clock::now();
        tracing::info!(component = name, kib = bytes.len() >> 10, "compiling a component that is new here");
        let code = compile::compile(self.place, &self.engine, bytes, &self.limits)?;
        tracing::info!(component = name, seconds = began.elapsed().as_secs_f32(), "compiled");
        Ok(code)
    }

    fn link(&self, name: &str, digest: Digest, bytes: &[u8]) -> Result<Component, LoadError> {
        let not_loadable = |reason: String| LoadError::NotLoadable { name: name.to_owned(), reason };
        // Here as well as where it is compiled: what is in the cache may be from a time of other bounds.
        accept::count(bytes, &self.limits.caps).map_err(|refusal| not_loadable(refusal.to_string()))?;
        let compile = || self.compile(name, bytes);
        let code = self.cache.load(&self.engine, &digest, compile).map_err(|error| not_loadable(error.to_string()))?;
        // One that is made of modules it imports is none that the host could instantiate.
        let required = code.resources_required();
        let needs = required.as_ref().map_or((1, 1), |it| (it.num_memories, it.num_tables));
        let (takes, places) = (places::taken(needs.0, needs.1), self.places.0);
        if takes > places {
            let setting = places::INSTANCES.variable;
            return Err(not_loadable(format!("each run of it takes {takes} places, and {setting} gives {places}")));
        }
        let not_a_node =
            |error: wasmtime::Error| LoadError::NotANode { name: name.to_owned(), reason: format!("{error:#}") };
        let imports = code.component_type().imports(&self.engine).map(|(import, _)| import.to_owned()).collect();
        // What the host does not offer still loads: the call, not the import, is refused.
        let mut linker = self.linker.clone();
        refused::define(&mut linker, &code, &self.engine, refused::by_host).map_err(not_a_node)?;
        let instance = linker.instantiate_pre(&code).and_then(NodePre::new).map_err(not_a_node)?;
        let (engine, clock) = (self.engine.clone(), self.clock);
        let pages = required.and_then(|it| it.max_initial_memory_size).unwrap_or(0);
        let memory = Bytes(pages.saturating_mul(PAGE));
        let (places, described) = (self.places.1.clone(), OnceLock::new());
        Ok(Component { digest, instance, code, engine, clock, described, memory, imports, places, needs })
    }
}

impl Component {
    /// A place for one run of it.
    ///
    /// # Errors
    /// If there is none for too long.
    pub(super) async fn place(&self) -> Result<Place, NodeError> {
        let (memories, tables) = self.needs;
        self.places.take(memories, tables).await
    }

    /// A place for an instance of it that no run asks for. None: none is to spare.
    pub(super) fn spare_place(&self) -> Option<Place> {
        let (memories, tables) = self.needs;
        self.places.spare(memories, tables)
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Component({})", self.digest)
    }
}

impl fmt::Debug for Workshop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workshop").field("cache", &self.cache).finish_non_exhaustive()
    }
}

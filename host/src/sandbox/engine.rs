//! The engine: which WebAssembly it accepts, how it takes instances from the pool, and the clock that interrupts.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmFeatures};

use crate::sandbox::limits;

/// How often a running guest is interrupted so that others on the same thread get their turn, and its deadline is
/// looked at. Costs nothing measurable at this rate.
const TICK: Duration = Duration::from_millis(5);

/// How many instances can live at the same time. A component takes one slot for each of its core instances.
const POOL: u32 = 1000;

/// What stays resident of a slot's memory between two runs, if the kernel can tell which pages were touched: with it,
/// a fresh call costs a third. Without, resetting this much by hand costs more than it saves.
const KEEP_RESIDENT: usize = 2 << 20;
const KEEP_RESIDENT_WITHOUT_PAGEMAP: usize = 64 << 10;

/// WebAssembly that is accepted: what today's toolchains emit for Rust, Python and JavaScript, and no more. Threads,
/// GC, exceptions, 64-bit memories and component-model async stay out: most advisories of recent years are there.
pub const FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::BULK_MEMORY_OPT)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::COMPONENT_MODEL);

/// Builds the engine.
///
/// # Errors
/// If the machine cannot give it what it needs, such as address space.
pub fn build() -> wasmtime::Result<Engine> {
    // Whether the kernel can scan page maps (Linux 6.7) shows only when it is tried.
    Engine::new(&config(Enabled::Yes, KEEP_RESIDENT))
        .or_else(|_| Engine::new(&config(Enabled::No, KEEP_RESIDENT_WITHOUT_PAGEMAP)))
}

fn config(pagemap_scan: Enabled, keep_resident: usize) -> Config {
    let mut config = Config::new();
    config
        .wasm_features(WasmFeatures::all(), false)
        .wasm_features(FEATURES, true)
        // Where components of one file call each other, wasmtime makes an adapter with the memories of both. What guests bring
        // themselves is held against FEATURES before it is compiled: see accept.rs.
        .wasm_features(WasmFeatures::MULTI_MEMORY, true)
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(limits::WASM_STACK)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(pagemap_scan, keep_resident)));
    config
}

fn pool(pagemap_scan: Enabled, keep_resident: usize) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(POOL)
        .total_core_instances(POOL)
        .total_memories(POOL)
        .total_tables(POOL)
        .total_stacks(POOL)
        .max_core_instances_per_component(limits::MAX_INSTANCES)
        .max_tables_per_component(limits::MAX_TABLES)
        .max_memories_per_component(limits::MAX_MEMORIES)
        .max_memory_size(limits::MAX_MEMORY.0 as usize)
        .table_elements(limits::MAX_TABLE_ELEMENTS)
        .pagemap_scan(pagemap_scan)
        .linear_memory_keep_resident(keep_resident);
    pool
}

/// How the pool is used at this moment.
#[derive(Clone, Debug, Default)]
pub struct PoolUse {
    /// Components that have an instance.
    pub instances: u64,
    /// How many slots are taken, by what they hold.
    pub slots: [(&'static str, u64); 5],
    /// How many of each there are.
    pub all: u64,
    /// What stays resident in free slots, in bytes.
    pub resident: u64,
}

/// Asks the pool; costs a few reads.
pub fn pool_use(engine: &Engine) -> PoolUse {
    let Some(pool) = engine.pooling_allocator_metrics() else { return PoolUse::default() };
    PoolUse {
        instances: pool.component_instances(),
        slots: [
            ("component", pool.component_instances()),
            ("core_instance", pool.core_instances()),
            ("memory", pool.memories() as u64),
            ("table", pool.tables() as u64),
            ("stack", pool.stacks() as u64),
        ],
        all: POOL.into(),
        resident: (pool.unused_memory_bytes_resident() + pool.unused_table_bytes_resident()) as u64,
    }
}

/// The thread that moves the epoch on. Ends with this value.
#[derive(Debug)]
pub struct Ticker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// # Errors
    /// If the system gives no thread.
    pub fn start(engine: &Engine) -> std::io::Result<Self> {
        let (stop, stopped) = channel::<()>();
        let engine = engine.weak();
        let thread = thread::Builder::new().name("weir-epoch".into()).spawn(move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
            }
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

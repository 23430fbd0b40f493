//! The engine: which WebAssembly it accepts, how it takes instances from the pool, and the clock that interrupts.

use std::num::NonZeroUsize;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Strategy, WasmBacktraceDetails,
    WasmFeatures,
};

use crate::sandbox::limits::fixed;
use crate::sandbox::places;

/// How often a running guest is interrupted so that others on the same thread get their turn, and its deadline is
/// looked at. Costs nothing measurable at this rate.
const TICK: Duration = Duration::from_millis(5);

/// What stays resident of a slot's memory between two runs, if the kernel can tell which pages were touched: with it,
/// a fresh call costs a third. Without, resetting this much by hand costs more than it saves.
const KEEP_RESIDENT: usize = 2 << 20;
const KEEP_RESIDENT_WITHOUT_PAGEMAP: usize = 64 << 10;

/// What stays resident of a slot's table. A table that was given back has to be mapped anew entry by entry, and each of
/// that tells all other threads: for a guest of the SDK two thirds of what its instance costs.
const TABLE_KEEP_RESIDENT: usize = 64 << 10;

/// Functions that are told of where a guest was when it trapped.
const FRAMES: usize = 16;

/// What the host holds of an instance beside its memories and tables, in bytes.
const METADATA: usize = 1 << 20;

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

/// Builds the engine, with slots for so many runs at the same time.
///
/// # Errors
/// If the machine cannot give it what it needs, such as address space.
pub fn build(places: u32) -> wasmtime::Result<Engine> {
    // Whether the kernel can scan page maps (Linux 6.7) shows only when it is tried.
    Engine::new(&config(pool(places, Enabled::Yes, KEEP_RESIDENT)))
        .or_else(|_| Engine::new(&config(pool(places, Enabled::No, KEEP_RESIDENT_WITHOUT_PAGEMAP))))
}

fn config(pool: PoolingAllocationConfig) -> Config {
    let mut config = Config::new();
    config
        .wasm_features(WasmFeatures::all(), false)
        .wasm_features(FEATURES, true)
        // Where components of one file call each other, wasmtime makes an adapter with the memories of both. What guests bring
        // themselves is held against FEATURES before it is compiled: see accept.rs.
        .wasm_features(WasmFeatures::MULTI_MEMORY, true)
        .concurrency_support(false)
        .strategy(Strategy::Cranelift)
        // Loads and stores out of bounds end in guard pages; wasmtime's own sizes of these.
        .signals_based_traps(true)
        .epoch_interruption(true)
        .wasm_backtrace_max_frames(NonZeroUsize::new(FRAMES))
        // By default the environment decides, which the process that compiles does not have.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .max_wasm_stack(fixed::STACK.to_usize())
        .async_stack_size(fixed::FIBER_STACK.to_usize())
        // No guest can read its stack below what it has written: WebAssembly has no such instruction. Costs 4 µs a run.
        .async_stack_zeroing(false)
        .memory_init_cow(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// What one place has is there for each of them, so that a run that has its place (see places.rs) finds all it needs.
struct Slots {
    each: u32,
    core_instances: u32,
    tables: u32,
}

impl Slots {
    fn of(places: u32) -> Self {
        let each = places + places::SPARE;
        Self { each, core_instances: each * fixed::INSTANCES, tables: each * places::TABLES }
    }
}

fn pool(places: u32, pagemap_scan: Enabled, keep_resident: usize) -> PoolingAllocationConfig {
    let slots = Slots::of(places);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots.each)
        .total_core_instances(slots.core_instances)
        .total_memories(slots.each)
        .total_tables(slots.tables)
        .total_stacks(slots.each)
        .max_core_instances_per_component(fixed::INSTANCES)
        .max_tables_per_component(fixed::TABLES)
        .max_memories_per_component(fixed::MEMORIES)
        .max_memory_size(fixed::SLOT.to_usize())
        .table_elements(fixed::TABLE_ELEMENTS)
        // wasmtime's own numbers, named so that they stay: one table and one memory of a module is all that toolchains make,
        // 1 MiB of metadata is far above what the largest interpreters need.
        .max_tables_per_module(fixed::TABLES_OF_MODULE)
        .max_memories_per_module(1)
        .max_core_instance_size(METADATA)
        .max_component_instance_size(METADATA)
        .max_unused_warm_slots(100)
        .decommit_batch_size(1)
        .table_keep_resident(TABLE_KEEP_RESIDENT)
        .async_stack_keep_resident(0)
        .pagemap_scan(pagemap_scan)
        .linear_memory_keep_resident(keep_resident);
    pool
}

/// How the pool is used at this moment.
#[derive(Clone, Debug, Default)]
pub struct PoolUse {
    /// Components that have an instance.
    pub instances: u64,
    /// Of these, how many wait for the next run of their node.
    pub waiting: u64,
    /// How many slots are taken, and how many there are, by what they hold.
    pub slots: [(&'static str, u64, u64); 5],
    /// What stays resident in free slots, in bytes.
    pub resident: u64,
}

/// Asks the pool; costs a few reads.
pub fn pool_use(engine: &Engine, places: u32) -> PoolUse {
    let Some(pool) = engine.pooling_allocator_metrics() else { return PoolUse::default() };
    let slots = Slots::of(places);
    let each = u64::from(slots.each);
    PoolUse {
        instances: pool.component_instances(),
        waiting: 0,
        slots: [
            ("component", pool.component_instances(), each),
            ("core_instance", pool.core_instances(), u64::from(slots.core_instances)),
            ("memory", pool.memories() as u64, each),
            ("table", pool.tables() as u64, u64::from(slots.tables)),
            ("stack", pool.stacks() as u64, each),
        ],
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

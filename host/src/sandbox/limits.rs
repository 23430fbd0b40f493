//! What one run of a node may use: each number with its reason. Time is kept by the boundary, everything else here.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::boundary::facts::NodeUse;
use crate::units::Bytes;

/// Linear memory of one instance. Holds any prompt and the JSON around it; a Python or JavaScript guest needs most
/// of it for its interpreter. A flow can ask for more with `limits.memory`.
pub const DEFAULT_MEMORY: Bytes = Bytes(64 << 20);
/// The most a flow may ask for: the size of a slot of the pool, so a larger value could not be honoured.
pub const MAX_MEMORY: Bytes = Bytes(1 << 30);
/// Wall time of one run. Longer than any computation a person waits for; a flow can ask for less or more.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// The most a flow may ask for, and what a node has that does nothing but wait for a model: models that think take
/// minutes, and the original allowed a whole request this long.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(300);
/// Entries of one table: functions that can be called indirectly. Large guests have a few thousand.
pub const MAX_TABLE_ELEMENTS: usize = 100_000;
/// Core instances, tables and memories of one component. Adapters and toolchains make a handful of each.
pub const MAX_INSTANCES: u32 = 32;
pub const MAX_TABLES: u32 = 16;
pub const MAX_MEMORIES: u32 = 4;
/// Native stack a guest may use. wasmtime's own default; deep recursion ends as an error of the node.
pub const WASM_STACK: usize = 512 * 1024;

/// What one run may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub memory: Bytes,
    pub timeout: Duration,
}

/// Watches one store. Remembers that it refused memory, because the guest then ends in a trap that does not say so.
#[derive(Debug)]
pub struct Limiter {
    memory: usize,
    /// Bytes of all memories of the store.
    taken: usize,
    used: NodeUse,
    pub refused_memory: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: DEFAULT_MEMORY, timeout: DEFAULT_TIMEOUT }
    }
}

impl Limits {
    /// What a flow asks for, or the defaults.
    ///
    /// # Errors
    /// If it asks for more than it may have: the limit, what was asked and what is allowed.
    pub fn within(
        memory: Option<Bytes>,
        timeout: Option<Duration>,
        default_timeout: Duration,
    ) -> Result<Self, (&'static str, String, String)> {
        let memory = memory.unwrap_or(DEFAULT_MEMORY);
        let timeout = timeout.unwrap_or(default_timeout);
        if memory > MAX_MEMORY {
            return Err(("memory", memory.to_string(), MAX_MEMORY.to_string()));
        }
        if timeout > MAX_TIMEOUT {
            return Err(("timeout", format!("{timeout:?}"), format!("{MAX_TIMEOUT:?}")));
        }
        Ok(Self { memory, timeout })
    }
}

impl Limiter {
    pub fn new(limits: &Limits, used: NodeUse) -> Self {
        let memory = usize::try_from(limits.memory.0).unwrap_or(usize::MAX);
        Self { memory, taken: 0, used, refused_memory: false }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = desired <= self.memory;
        self.refused_memory |= !allowed;
        if allowed {
            self.taken += desired.saturating_sub(current);
            self.used.memory(self.taken as u64);
        }
        Ok(allowed)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        MAX_TABLES as usize
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES as usize
    }
}

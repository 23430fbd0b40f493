//! What is accepted as a component: which proposals of WebAssembly it may need, and how much of everything it may have.
//! Counted whenever a component is loaded, and looked at before it is compiled, by the process that compiles (see compile.rs).
//! Pure: bytes in, a refusal out.

use std::ops::Range;

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, ComponentTypeRef, Encoding,
    Error, Instance, Parser, Payload, Validator, WasmFeatures,
};

use crate::sandbox::engine::FEATURES;
use crate::sandbox::limits::fixed;
use crate::setting::{Reader, Setting, count_within, size_up_to};

pub static MAX_SIZE: Setting =
    Setting::new("WEIR_COMPONENT_SIZE", "64MiB", "largest file of a component that is loaded; at most 256MiB");
pub static MAX_FUNCTIONS: Setting = Setting::new(
    "WEIR_COMPONENT_FUNCTIONS",
    "50000",
    "how many functions a component that is loaded may have; at most 500000",
);

/// An interpreter of Python with its library is 18 MiB, one of JavaScript 12. More than this is a mistake, or meant to
/// keep the compiler busy.
const MOST_SIZE: u64 = 256 << 20;

/// 50,000 functions of a few instructions took 14 s to compile, and all of Python has fewer. Who needs more has the time.
const MOST_FUNCTIONS: usize = 500_000;

/// Code of one function. What the compiler needs grows faster than the function: one of 4 MiB took 9 s and half a GiB. The
/// largest of real interpreters has a few hundred KiB.
const MAX_BODY: u64 = 1 << 20;

/// Types, of which toolchains declare some hundreds. Each is known by name while a component is compiled and linked.
const MAX_TYPES: u64 = 10_000;

/// What types declare in turn, such as the functions of an interface, is bounded by what it takes in the file: a declaration has
/// some bytes, and all of WASI has 20 KiB. They are not entered, since they can be nested deeper than a stack is.
const MAX_TYPE_BYTES: u64 = 1 << 20;

/// Whatever else is counted in a module or component: imports, exports, aliases, globals, segments. Modules that are linked
/// dynamically, as those of Python, have some ten thousand. At some hundred bytes for each, all of them are 20 MiB.
const MAX_ITEMS: u64 = 200_000;

/// Modules and components in a component, whether they are instantiated or not. A toolchain makes a handful, and what is
/// composed of ten components has ten times as many.
const MAX_PARTS: u64 = 100;

/// Components inside of components. Composing them makes one level each time.
const MAX_DEPTH: usize = 16;

/// WebAssembly's pages.
pub(super) const PAGE: u64 = 64 << 10;

/// What is not accepted, by the names under which proposals are known. Those that are names of one proposal's parts lead to
/// the proposal.
const PROPOSALS: &[(WasmFeatures, &str)] = &[
    (WasmFeatures::THREADS, "threads"),
    (WasmFeatures::SHARED_EVERYTHING_THREADS, "shared-everything-threads"),
    (WasmFeatures::MULTI_MEMORY, "multi-memory"),
    (WasmFeatures::MEMORY64, "memory64"),
    (WasmFeatures::RELAXED_SIMD, "relaxed-simd"),
    (WasmFeatures::EXCEPTIONS, "exception-handling"),
    (WasmFeatures::LEGACY_EXCEPTIONS, "exception-handling (legacy)"),
    (WasmFeatures::FUNCTION_REFERENCES, "function-references"),
    (WasmFeatures::GC, "gc"),
    (WasmFeatures::GC_TYPES, "gc"),
    (WasmFeatures::MEMORY_CONTROL, "memory-control"),
    (WasmFeatures::CUSTOM_PAGE_SIZES, "custom-page-sizes"),
    (WasmFeatures::STACK_SWITCHING, "stack-switching"),
    (WasmFeatures::WIDE_ARITHMETIC, "wide-arithmetic"),
    (WasmFeatures::CM_ASYNC, "component-model-async"),
    (WasmFeatures::CM_ASYNC_STACKFUL, "component-model-async"),
    (WasmFeatures::CM_MORE_ASYNC_BUILTINS, "component-model-async"),
    (WasmFeatures::CM_THREADING, "component-model-threading"),
    (WasmFeatures::CM_ERROR_CONTEXT, "component-model-error-context"),
    (WasmFeatures::CM_VALUES, "component-model-values"),
    (WasmFeatures::CM_NESTED_NAMES, "component-model-nested-names"),
    (WasmFeatures::CM_FIXED_LENGTH_LISTS, "component-model-fixed-length-lists"),
    (WasmFeatures::CM_GC, "component-model-gc"),
];

/// What an operator lets components have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Bytes of the file.
    pub size: usize,
    pub functions: usize,
}

/// Why a component is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("it is no WebAssembly: {0}")]
    NotWasm(String),
    #[error("it is a core module and no component; build for wasm32-wasip2, or make one by `wasm-tools component new`")]
    Module,
    #[error("it is not valid: {0}")]
    Invalid(String),
    #[error(
        "it needs the WebAssembly proposal `{proposal}`, which this host does not accept ({needed}); build it without"
    )]
    Proposal { proposal: &'static str, needed: String },
    #[error("it has {found} {what}, more than the {most} that a component may have{}", raise(.setting))]
    TooMuch { what: &'static str, found: u64, most: u64, setting: Option<&'static Setting> },
    #[error("it instantiates a module or component that another hands to it, so that nobody can say how much it needs")]
    Elsewhere,
}

fn raise(setting: &Option<&'static Setting>) -> String {
    setting.map_or_else(String::new, |setting| format!("; {} can be raised", setting.variable))
}

impl Default for Caps {
    fn default() -> Self {
        Self { size: 64 << 20, functions: 50_000 }
    }
}

impl Caps {
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            size: reader.value(&MAX_SIZE, size_up_to(MOST_SIZE)),
            functions: reader.value(&MAX_FUNCTIONS, count_within(1, MOST_FUNCTIONS)),
        }
    }
}

/// Whether a component may be compiled.
///
/// # Errors
/// The first thing that is not accepted, by its name.
pub fn look(bytes: &[u8], caps: &Caps) -> Result<(), Refusal> {
    count(bytes, caps)?;
    validate(bytes)
}

/// Is it valid, with no more than what is accepted?
fn validate(bytes: &[u8]) -> Result<(), Refusal> {
    let Err(error) = validated(bytes, FEATURES) else { return Ok(()) };
    let known = |features| PROPOSALS.iter().find(|(proposal, _)| proposal.intersects(features)).map(|(_, name)| *name);
    // Not every error says which proposal would allow it: then, the one is meant with which validation gets further.
    let helps = |proposal: &&(WasmFeatures, &str)| match validated(bytes, FEATURES.union(proposal.0)) {
        Ok(()) => true,
        Err(other) => other.offset() > error.offset(),
    };
    let missing = error.missing_wasm_feature().and_then(known);
    let missing = missing.or_else(|| PROPOSALS.iter().find(helps).map(|(_, name)| *name));
    // The first line says what is wrong, further ones where.
    let says = error.message().lines().last().unwrap_or_default().to_owned();
    Err(match missing {
        Some(proposal) => Refusal::Proposal { proposal, needed: says },
        None => Refusal::Invalid(format!("{says} (at byte {})", error.offset())),
    })
}

fn validated(bytes: &[u8], features: WasmFeatures) -> Result<(), Error> {
    Validator::new_with_features(features).validate_all(bytes).map(drop)
}

/// What instantiating something takes.
#[derive(Clone, Copy, Default)]
struct Taken {
    instances: u64,
    memories: u64,
    tables: u64,
    pages: u64,
}

impl Taken {
    fn and(self, other: Self) -> Self {
        Self {
            instances: self.instances.saturating_add(other.instances),
            memories: self.memories.saturating_add(other.memories),
            tables: self.tables.saturating_add(other.tables),
            pages: self.pages.saturating_add(other.pages),
        }
    }
}

/// A module or component that is being read. What it can instantiate stands under the index that it has there; None: what it
/// is handed.
#[derive(Default)]
struct Scope {
    is_module: bool,
    modules: Vec<Option<Taken>>,
    components: Vec<Option<Taken>>,
    taken: Taken,
}

/// What is counted over the whole file.
#[derive(Default)]
struct Counted {
    functions: u64,
    types: u64,
    type_bytes: u64,
    items: u64,
    parts: u64,
}

/// Counts what there is, before anything is done with it whose cost it decides. Itself, it costs as much as reading the file:
/// it enters neither functions nor types.
///
/// # Errors
/// The first thing of which there is too much, by its name.
pub(super) fn count(bytes: &[u8], caps: &Caps) -> Result<(), Refusal> {
    most("bytes", bytes.len() as u64, caps.size as u64, Some(&MAX_SIZE))?;
    let mut counted = Counted::default();
    let mut scopes: Vec<Scope> = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| match scopes.is_empty() {
            true => Refusal::NotWasm(error.message().to_owned()),
            false => invalid(&error),
        })?;
        match payload {
            Payload::Version { encoding, .. } => {
                let is_module = encoding == Encoding::Module;
                if is_module && scopes.is_empty() {
                    return Err(Refusal::Module);
                }
                scopes.push(Scope { is_module, ..Scope::default() });
                most("nested components", scopes.len() as u64, MAX_DEPTH as u64, None)?;
                counted.parts += 1;
                most("modules and components", counted.parts, MAX_PARTS, None)?;
            }
            Payload::End(_) => {
                let Some(ended) = scopes.pop() else { continue };
                if let Some(above) = scopes.last_mut() {
                    let made = if ended.is_module { &mut above.modules } else { &mut above.components };
                    made.push(Some(ended.taken));
                }
            }
            payload => {
                counted.add(&payload, caps)?;
                add(&payload, &mut scopes)?;
            }
        }
    }
    Ok(())
}

impl Counted {
    fn add(&mut self, payload: &Payload<'_>, caps: &Caps) -> Result<(), Refusal> {
        match payload {
            Payload::FunctionSection(section) => self.functions += u64::from(section.count()),
            Payload::CodeSectionEntry(body) => {
                let range = body.range();
                most("bytes of code in one function", (range.end - range.start) as u64, MAX_BODY, None)?;
            }
            Payload::TypeSection(section) => self.types += u64::from(section.count()),
            Payload::CoreTypeSection(section) => self.add_types(section.count(), section.range()),
            Payload::ComponentTypeSection(section) => self.add_types(section.count(), section.range()),
            Payload::ImportSection(section) => self.items += u64::from(section.count()),
            Payload::ExportSection(section) => self.items += u64::from(section.count()),
            Payload::GlobalSection(section) => self.items += u64::from(section.count()),
            Payload::ElementSection(section) => self.items += u64::from(section.count()),
            Payload::DataSection(section) => self.items += u64::from(section.count()),
            Payload::ComponentImportSection(section) => self.items += u64::from(section.count()),
            Payload::ComponentExportSection(section) => self.items += u64::from(section.count()),
            Payload::ComponentAliasSection(section) => self.items += u64::from(section.count()),
            Payload::ComponentCanonicalSection(section) => self.items += u64::from(section.count()),
            _ => {}
        }
        most("functions", self.functions, caps.functions as u64, Some(&MAX_FUNCTIONS))?;
        most("types", self.types, MAX_TYPES, None)?;
        most("bytes of types", self.type_bytes, MAX_TYPE_BYTES, None)?;
        most("imports, exports, aliases, globals and segments", self.items, MAX_ITEMS, None)
    }

    fn add_types(&mut self, count: u32, range: Range<usize>) {
        self.types += u64::from(count);
        self.type_bytes += (range.end - range.start) as u64;
    }
}

/// Adds what a section defines or instantiates to the innermost scope.
fn add(payload: &Payload<'_>, scopes: &mut [Scope]) -> Result<(), Refusal> {
    let Some((scope, above)) = scopes.split_last_mut() else { return Ok(()) };
    match payload {
        Payload::MemorySection(section) => {
            for memory in section.clone() {
                let pages = memory.map_err(|error| invalid(&error))?.initial;
                scope.taken = scope.taken.and(Taken { memories: 1, pages, ..Taken::default() });
            }
        }
        Payload::TableSection(section) => {
            for table in section.clone() {
                let elements = table.map_err(|error| invalid(&error))?.ty.initial;
                most("elements in one table", elements, fixed::TABLE_ELEMENTS as u64, None)?;
                scope.taken = scope.taken.and(Taken { tables: 1, ..Taken::default() });
            }
        }
        Payload::InstanceSection(section) => {
            for instance in section.clone() {
                if let Instance::Instantiate { module_index, .. } = instance.map_err(|error| invalid(&error))? {
                    let module = at(&scope.modules, module_index)?.ok_or(Refusal::Elsewhere)?;
                    scope.taken = scope.taken.and(module).and(Taken { instances: 1, ..Taken::default() });
                }
            }
        }
        Payload::ComponentInstanceSection(section) => {
            for instance in section.clone() {
                if let ComponentInstance::Instantiate { component_index, .. } =
                    instance.map_err(|error| invalid(&error))?
                {
                    let component = at(&scope.components, component_index)?.ok_or(Refusal::Elsewhere)?;
                    scope.taken = scope.taken.and(component);
                }
            }
        }
        Payload::ComponentAliasSection(section) => {
            for alias in section.clone() {
                scope.alias(above, &alias.map_err(|error| invalid(&error))?)?;
            }
        }
        Payload::ComponentImportSection(section) => {
            for import in section.clone() {
                match import.map_err(|error| invalid(&error))?.ty {
                    ComponentTypeRef::Module(_) => scope.modules.push(None),
                    ComponentTypeRef::Component(_) => scope.components.push(None),
                    _ => {}
                }
            }
        }
        Payload::ComponentExportSection(section) => {
            for export in section.clone() {
                let export = export.map_err(|error| invalid(&error))?;
                // What is exported has an index anew.
                match export.kind {
                    ComponentExternalKind::Module => scope.modules.push(at(&scope.modules, export.index)?),
                    ComponentExternalKind::Component => scope.components.push(at(&scope.components, export.index)?),
                    _ => {}
                }
            }
        }
        _ => {}
    }
    let Taken { instances, memories, tables, pages } = scope.taken;
    most("instances of modules", instances, fixed::INSTANCES.into(), None)?;
    most("tables", tables, fixed::TABLES.into(), None)?;
    most("bytes of memory from its beginning", pages.saturating_mul(PAGE), fixed::SLOT.0, None)?;
    if scope.is_module {
        // More than one memory it may have only by a proposal, whose name says more.
        return most("tables in one module", tables, fixed::TABLES_OF_MODULE.into(), None);
    }
    most("memories", memories, fixed::MEMORIES.into(), None)
}

impl Scope {
    fn alias(&mut self, above: &[Self], alias: &ComponentAlias<'_>) -> Result<(), Refusal> {
        match alias {
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Module, .. } => self.modules.push(None),
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => self.components.push(None),
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreModule, count, index } => {
                let module = at(&self.outer(above, *count)?.modules, *index)?;
                self.modules.push(module);
            }
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                let component = at(&self.outer(above, *count)?.components, *index)?;
                self.components.push(component);
            }
            _ => {}
        }
        Ok(())
    }

    /// The scope so many levels further out; 0 is this one.
    fn outer<'a>(&'a self, above: &'a [Self], count: u32) -> Result<&'a Self, Refusal> {
        let Some(up) = (count as usize).checked_sub(1) else { return Ok(self) };
        above.iter().rev().nth(up).ok_or_else(|| Refusal::Invalid(format!("an alias leads {count} levels out")))
    }
}

fn at(index_space: &[Option<Taken>], index: u32) -> Result<Option<Taken>, Refusal> {
    let found = index_space.get(index as usize).copied();
    found.ok_or_else(|| Refusal::Invalid(format!("there is no module or component of index {index}")))
}

fn most(what: &'static str, found: u64, most: u64, setting: Option<&'static Setting>) -> Result<(), Refusal> {
    if found > most { Err(Refusal::TooMuch { what, found, most, setting }) } else { Ok(()) }
}

fn invalid(error: &Error) -> Refusal {
    Refusal::Invalid(format!("{} (at byte {})", error.message(), error.offset()))
}

#[cfg(test)]
mod tests;

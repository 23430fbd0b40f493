//! Imports that the host does not serve: the component still loads, and a call ends the run with a clear error.
//!
//! Toolchains import more than a node uses (Python and JavaScript import sockets, HTTP and more), so an import alone is
//! no reason to refuse a component.

use std::sync::Arc;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, LinkerInstance, ResourceType};
use wasmtime::{Engine, format_err};
use wasmtime_wasi::p2::bindings::io::error::Error as IoError;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable};

use crate::boundary::denial::shown;
use crate::boundary::error::{NodeError, NodeFailure};
use crate::capability::Capabilities;

/// Interfaces of WASI 0.2 that wasmtime-wasi serves.
const WASI: [&str; 27] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// Interfaces that come with others of the same package: the streams of answers, and what requests are made of.
const TYPES: [&str; 2] = ["weir:flow/types", "wasi:http/types"];

/// The type behind resources of interfaces that nobody serves. There is never one.
enum Never {}

/// Defines every function of interfaces that are not `served`, so that calling it ends the run.
pub(super) fn define<T: 'static>(
    linker: &mut Linker<T>,
    code: &Component,
    engine: &Engine,
    served: fn(&str) -> bool,
) -> wasmtime::Result<()> {
    let mut shared = Vec::new();
    for (name, item) in code.component_type().imports(engine) {
        match item.ty {
            ComponentItem::ComponentInstance(instance) if served(name) => {
                shared.extend(instance.exports(engine).filter_map(|(export, item)| io_resource(export, &item.ty)));
            }
            ComponentItem::ComponentInstance(instance) => {
                let mut target = linker.instance(name)?;
                // A guest's names may be long, and an interface has many functions.
                let interface: Arc<str> = shown(name).into();
                for (export, item) in instance.exports(engine) {
                    define_item(&mut target, &interface, export, &item.ty, &shared)?;
                }
            }
            item => define_item(&mut linker.root(), &"the world".into(), name, &item, &shared)?,
        }
    }
    Ok(())
}

/// A resource of the component as it is known to the component, and as it is to the host.
type Shared = (ResourceType, ResourceType);

/// Resources of `wasi:io`, which interfaces of other packages name as theirs: there they must be the same ones.
fn io_resource(name: &str, item: &ComponentItem) -> Option<Shared> {
    let ComponentItem::Resource(guest) = item else { return None };
    let host = match name {
        "error" => ResourceType::host::<IoError>(),
        "pollable" => ResourceType::host::<DynPollable>(),
        "input-stream" => ResourceType::host::<DynInputStream>(),
        "output-stream" => ResourceType::host::<DynOutputStream>(),
        _ => return None,
    };
    Some((*guest, host))
}

/// Whether a node finds someone behind this interface.
pub(super) fn by_host(interface: &str) -> bool {
    let name = unversioned(interface);
    by_wasi(interface) || Capabilities::INTERFACES.contains(&name) || TYPES.contains(&name)
}

/// Whether WASI alone has this interface.
pub(super) fn by_wasi(interface: &str) -> bool {
    WASI.contains(&unversioned(interface)) && interface.contains("@0.2.")
}

fn unversioned(interface: &str) -> &str {
    interface.split_once('@').map_or(interface, |(name, _)| name)
}

fn define_item<T: 'static>(
    target: &mut LinkerInstance<'_, T>,
    interface: &Arc<str>,
    name: &str,
    item: &ComponentItem,
    shared: &[Shared],
) -> wasmtime::Result<()> {
    match item {
        ComponentItem::ComponentFunc(_) => {
            let (interface, function) = (Arc::clone(interface), Box::<str>::from(shown(name)));
            target.func_new(name, move |_, _, _, _| {
                let message = format!("the node called {function:?} of {interface}, which this host does not serve");
                Err(wasmtime::Error::new(NodeError::new(NodeFailure::System, message)))
            })
        }
        ComponentItem::Resource(guest) => {
            let known = shared.iter().find(|(known, _)| known == guest).map(|(_, host)| *host);
            target.resource(name, known.unwrap_or(ResourceType::host::<Never>()), |_, _| Ok(()))
        }
        ComponentItem::Type(_) => Ok(()),
        _ => Err(format_err!("{interface} imports {:?}, which is neither a function nor a type", shown(name))),
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::Config;
    use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};

    use super::*;

    struct State(WasiCtx, ResourceTable);

    impl WasiView for State {
        fn ctx(&mut self) -> WasiCtxView<'_> {
            WasiCtxView { ctx: &mut self.0, table: &mut self.1 }
        }
    }

    #[test]
    fn what_wasmtime_does_not_serve_of_a_package_that_it_serves_is_no_reason_to_refuse_a_component() {
        let engine = Engine::new(&Config::new()).expect("an engine");
        let mut linker = Linker::<State>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("its own interfaces");
        let text = "(component (import \"wasi:clocks/timezone@0.2.0\" (instance (export \"display\" (func)))) \
                    (import \"wasi:cli/exit@0.2.0\" (instance (export \"exit\" (func (param \"status\" (result)))))))";
        let component = Component::new(&engine, wat::parse_str(text).expect("a component")).expect("a component");
        assert!(linker.instantiate_pre(&component).is_err(), "nobody has a time zone");
        define(&mut linker, &component, &engine, by_wasi).expect("it can be defined");
        assert!(linker.instantiate_pre(&component).is_ok());
    }

    #[test]
    fn an_interface_is_known_by_its_name_and_the_versions_that_go_with_it() {
        assert!(by_wasi("wasi:cli/exit@0.2.0") && by_wasi("wasi:sockets/udp-create-socket@0.2.9"));
        for other in ["wasi:cli/exit", "wasi:cli/exit@0.3.0", "wasi:clocks/timezone@0.2.0", "acme:cli/exit@0.2.0"] {
            assert!(!by_wasi(other), "{other}");
        }
    }
}

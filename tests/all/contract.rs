//! Is every function of the contract called by a guest, and seen in a trace? Walks the imports of the world `node`.
//!
//! The guest is asked, not its source: a component imports only what it calls. So a function that is added to `wit/`
//! fails here until a program of `tests/guests` calls it and the scenario of that program's name is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use wit_parser::{Resolve, WorldId, WorldItem};

/// A function of the contract, the guest that calls it, and what the trace of the guest's scenario has in it.
///
/// A call to a model has an rpc span. A call to another node has that node's span, below the caller's. A guest's spans are
/// its own. The others have none: the span of the node is what shows that they were made.
const CALLS: &[(&str, &str, &str)] = &[
    ("weir:flow/output.emit", "run_streams", "node run_streams "),
    ("weir:flow/llm.chat", "llm_chats", "openai_chat"),
    ("weir:flow/llm.stream-chat", "llm_streams_by_hand", "openai_chat"),
    ("weir:flow/llm.[method]chat-stream.next", "llm_streams_by_hand", "openai_chat"),
    ("weir:flow/llm.[method]chat-stream.usage", "llm_streams_by_hand", "openai_chat"),
    ("weir:flow/llm.text", "llm_relays", "openai_chat"),
    ("weir:flow/llm.relay-chat", "llm_relays_at_once", "openai_chat"),
    ("weir:flow/llm.complete", "llm_completes", "openai_completion"),
    ("weir:flow/llm.embed", "llm_embeds", "openai_embeddings"),
    ("weir:flow/types.[method]chunks.next", "llm_reads_relay", "openai_chat"),
    ("weir:flow/nodes.call", "nodes_calls_another", "rpc nodes.call ok\n        node callee "),
    ("weir:flow/context.current", "context_sets_notes", "node context_sets_notes "),
    ("weir:flow/context.init", "context_reads_init", "node context_reads_init "),
    ("weir:flow/context.set-attribute", "context_sets_notes", "node context_sets_notes "),
    ("weir:flow/context.add-event", "context_sets_notes", "node context_sets_notes "),
    ("weir:flow/context.log-metric", "context_logs_metrics", "node context_logs_metrics "),
    ("weir:flow/context.start-span", "context_spans_its_work", "guest answer ok"),
    ("weir:flow/context.[method]span.set-attribute", "context_spans_its_work", "guest retrieve ok"),
    ("weir:flow/context.[method]span.end", "context_spans_its_work", "guest cut ok"),
    ("weir:flow/context.set-current-span", "context_spans_its_work", "guest answer ok"),
    ("wasi:config/store.get", "config_reads", "node config_reads "),
    ("wasi:config/store.get-all", "config_reads", "node config_reads "),
    ("wasi:logging/logging.log", "log_writes", "node log_writes "),
];

#[test]
fn every_function_of_the_contract_has_a_row() {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(repository("wit")).expect("wit/ is a package");
    let world = resolve.select_world(&[package], Some("node")).expect("the package has the world `node`");
    let in_wit = imports(&resolve, world);
    let in_table: BTreeSet<String> = CALLS.iter().map(|row| row.0.to_owned()).collect();

    let missing: Vec<_> = in_wit.difference(&in_table).collect();
    assert!(missing.is_empty(), "add a guest, a scenario and a row of CALLS for {missing:?}");
    let gone: Vec<_> = in_table.difference(&in_wit).collect();
    assert!(gone.is_empty(), "CALLS has rows for what wit/ does not have: {gone:?}");
}

#[test]
fn every_function_is_called_by_its_guest() {
    let mut imports_of = BTreeMap::new();
    let mut faults = Vec::new();
    for (function, guest, _) in CALLS {
        let imports = imports_of.entry(guest).or_insert_with(|| imports_of_guest(guest));
        if !imports.contains(*function) {
            faults.push(format!("tests/guests: {guest} does not call {function}; it calls {imports:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_call_is_seen_in_the_trace_of_a_scenario() {
    let mut faults = Vec::new();
    for (function, guest, seen) in CALLS {
        let scenario = repository("tests/flows").join(guest);
        let read = |file: &str| std::fs::read_to_string(scenario.join(file)).unwrap_or_default();
        if !harness::scenario::flow_text(&scenario).contains(&format!("guests/{guest}.wasm")) {
            faults.push(format!("{function}: the flow of tests/flows/{guest} has no node guests/{guest}.wasm"));
        }
        if !read("trace.txt").contains(seen) {
            faults.push(format!("{function}: tests/flows/{guest}/trace.txt has no {seen:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_guest_that_asks_for_nothing_imports_nothing_of_ours() {
    assert_eq!(imports_of_guest("run_returns"), BTreeSet::new());
}

/// Functions of the contract that a component imports.
fn imports_of_guest(name: &str) -> BTreeSet<String> {
    let bytes = std::fs::read(harness::guest(name)).expect("a guest can be read");
    let decoded = wit_parser::decoding::decode(&bytes).expect("a guest is a component");
    let wit_parser::decoding::DecodedWasm::Component(resolve, world) = decoded else {
        panic!("{name} is a WIT package and not a component")
    };
    // The interfaces of WASI are the language's own business, but for those that a grant is behind or our world names.
    let ours = |function: &String| {
        ["weir:", "wasi:logging/", "wasi:config/", "wasi:http/"].iter().any(|prefix| function.starts_with(prefix))
    };
    imports(&resolve, world).into_iter().filter(ours).collect()
}

/// Imported functions as `namespace:package/interface.function`.
fn imports(resolve: &Resolve, world: WorldId) -> BTreeSet<String> {
    let mut functions = BTreeSet::new();
    for item in resolve.worlds[world].imports.values() {
        let WorldItem::Interface { id, .. } = item else { continue };
        let interface = &resolve.interfaces[*id];
        let package = &resolve.packages[interface.package.expect("an interface has a package")].name;
        let name = interface.name.as_deref().expect("an interface that is imported by name has one");
        let prefix = format!("{}:{}/{name}", package.namespace, package.name);
        functions.extend(interface.functions.keys().map(|function| format!("{prefix}.{function}")));
    }
    functions
}

fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

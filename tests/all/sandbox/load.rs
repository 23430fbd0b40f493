//! Components that are refused, and what loading them costs those who are served meanwhile.

use std::cell::Cell;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join;
use harness::{Exit, HostBuilder, TestHost, guest, wat};
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// A flow with one node for each of these files.
fn flow(files: &[&str]) -> String {
    let nodes = files.iter().enumerate();
    nodes.fold("inputs: {}\noutputs: {}\nnodes:\n".to_owned(), |mut flow, (at, file)| {
        writeln!(flow, "- {{name: n{at}, type: wasm, source: {{type: code, path: {file}}}}}")
            .expect("a string takes all");
        flow
    })
}

fn component(text: &str) -> Vec<u8> {
    wat::component(text).expect("the test's own text")
}

/// A component around a core module.
fn module(fields: &str) -> Vec<u8> {
    component(&format!("(component (core module {fields}))"))
}

/// A flow of one component, which must be refused with this sentence.
async fn refused(bytes: &[u8], change: impl FnOnce(HostBuilder) -> HostBuilder, says: &str) -> Exit {
    let host = TestHost::written("refused", &flow(&["bad.wasm"])).file("bad.wasm", bytes);
    let exit = change(host).refuses().await;
    assert_eq!(exit.status.code(), Some(2), "{}", exit.stderr);
    let said = exit.told();
    assert!(said.contains(says), "{said}");
    exit
}

#[tokio::test]
async fn all_components_that_need_a_refused_proposal_are_told_at_once() {
    let proposals = [
        ("threads", module("(memory 1 1 shared)")),
        ("memory64", module("(memory i64 1)")),
        ("multi-memory", module("(memory 1) (memory 1)")),
        ("exception-handling", module("(tag)")),
        ("gc", module("(type (struct))")),
        ("function-references", module("(type $f (func)) (func (param (ref $f)))")),
        ("relaxed-simd", module("(func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))")),
        ("component-model-async", component("(component (type (stream u8)))")),
    ];
    let files: Vec<_> = proposals.iter().map(|(name, _)| format!("{name}.wasm")).collect();
    let host = TestHost::written("refused", &flow(&files.iter().map(String::as_str).collect::<Vec<_>>()));
    let host = proposals.iter().zip(&files).fold(host, |host, ((_, bytes), file)| host.file(file, bytes));
    let exit = host.refuses().await;
    assert_eq!(exit.status.code(), Some(2), "{}", exit.stderr);
    let said = exit.told();
    for (proposal, _) in proposals {
        let sentence = format!("it needs the WebAssembly proposal `{proposal}`, which this host does not accept (");
        assert!(said.contains(&sentence), "{proposal}: {said}");
    }
}

#[tokio::test]
async fn files_that_are_no_components_are_told_as_what_they_are() {
    let whole = fs::read(guest("run_returns")).expect("a guest");
    for (bytes, says) in [
        (b"".to_vec(), "it is no WebAssembly"),
        (b"#!/bin/sh\n".to_vec(), "it is no WebAssembly"),
        (whole[..whole.len() / 2].to_vec(), "it is not valid: "),
        (wat_module(), "it is a core module and no component"),
        (component("(component)"), "not a node"),
    ] {
        refused(&bytes, |host| host, says).await;
    }
}

/// A core module, as a build for another target leaves it.
fn wat_module() -> Vec<u8> {
    b"\0asm\x01\0\0\0".to_vec()
}

#[tokio::test]
async fn compiled_code_is_taken_from_no_flow_folder() {
    // What a cache holds, without its seal: as wasmtime would load it.
    let cache = tempfile::tempdir().expect("a temporary folder");
    let host = TestHost::flow("run_returns").env("WEIR_CACHE_DIR", cache.path().to_string_lossy()).start().await;
    host.stop().await;
    let files = fs::read_dir(cache.path()).expect("the cache").flatten().map(|file| file.path());
    let compiled = files.into_iter().find(|file| file.extension().is_some_and(|end| end == "cwasm"));
    let code = fs::read(compiled.expect("one component")).expect("compiled code");
    let code = &code[..code.len() - 32];
    assert!(code.starts_with(b"\x7fELF"));
    refused(code, |host| host, "it is no WebAssembly").await;
    let named = TestHost::written("refused", &flow(&["bad.cwasm"])).file("bad.cwasm", code);
    let exit = named.refuses().await;
    assert!(exit.told().contains("bad.cwasm: expected a .wasm file"), "{}", exit.stderr);
}

#[tokio::test]
async fn what_is_too_much_is_told_by_name_and_by_the_setting_that_raises_it() {
    let whole = fs::read(guest("run_returns")).expect("a guest");
    refused(
        &whole,
        |host| host.env("WEIR_COMPONENT_SIZE", "1KiB"),
        "bad.wasm: larger than 1 KiB, the most that a component may have; WEIR_COMPONENT_SIZE can be raised",
    )
    .await;
    let functions = "functions, more than the 10 that a component may have; WEIR_COMPONENT_FUNCTIONS can be raised";
    refused(&whole, |host| host.env("WEIR_COMPONENT_FUNCTIONS", "10"), functions).await;
    let memory = "4294967296 bytes of memory from its beginning, more than the 1073741824";
    refused(&component(&node("(memory (export \"memory\") 65536)", "")), |host| host, memory).await;
    let more =
        "its component begins with 80 MiB of memory, more than the 64 MiB that it may have; raise `limits.memory`";
    refused(&component(&node("(memory (export \"memory\") 1280)", "")), |host| host, more).await;
}

/// The text of a node with this memory and these further fields.
fn node(memory: &str, fields: &str) -> String {
    format!(
        "(module {memory} {fields}
           (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
           (func (export \"weir:flow/handler@0.1.0#run\") (param i32 i32) (result i32) unreachable)
           (func (export \"weir:flow/handler@0.1.0#describe\") (result i32) unreachable))"
    )
}

/// A component that takes long to compile: many functions that are not small.
fn bomb() -> Vec<u8> {
    let body = "(local.set 0 (i32.mul (i32.add (local.get 0) (i32.const 7)) (i32.load (local.get 0))))".repeat(20);
    component(&node("(memory (export \"memory\") 1)", &format!("(func (param i32) {body})").repeat(8_000)))
}

#[tokio::test]
async fn compiling_has_a_deadline_and_a_bound_of_memory() {
    let bomb = bomb();
    let late = "it takes longer than 2s to compile; WEIR_COMPILE_TIMEOUT can be raised";
    refused(&bomb, |host| host.env("WEIR_COMPILE_TIMEOUT", "2s"), late).await;
    let large = "it takes more than 48 MiB of memory to compile; WEIR_COMPILE_MEMORY can be raised";
    refused(&bomb, |host| host.env("WEIR_COMPILE_MEMORY", "48MiB"), large).await;
}

#[tokio::test]
async fn what_the_compiler_says_of_a_name_without_end_is_heard() {
    let export = format!("(export \"{}\" (func 0))", "x".repeat(90_000));
    let twice = module(&format!("(func) {export} {export}"));
    refused(&twice, |host| host.env("WEIR_COMPILE_TIMEOUT", "60s"), "it is not valid: duplicate export name").await;
}

#[tokio::test]
async fn a_component_that_takes_more_places_than_there_are_is_told_with_the_setting() {
    let two =
        "(component (core module $m (memory 1)) (core instance (instantiate $m)) (core instance (instantiate $m)))";
    let few = |host: HostBuilder| host.env("WEIR_MAX_INSTANCES", "1");
    refused(&component(two), few, "each run of it takes 2 places, and WEIR_MAX_INSTANCES gives 1").await;
}

/// A component on which a parser loses its stack: types that declare types that declare types.
fn abyss() -> Vec<u8> {
    let mut types = vec![1];
    types.extend([0x42, 1, 1].repeat(300_000));
    types.extend([0x42, 0]);
    let mut bytes = b"\0asm\x0d\0\x01\0\x07".to_vec();
    let mut length = types.len();
    while length > 0 {
        bytes.push((length & 0x7f) as u8 | if length > 0x7f { 0x80 } else { 0 });
        length >>= 7;
    }
    bytes.extend(types);
    bytes
}

#[tokio::test]
async fn a_component_that_crashes_the_compiler_crashes_nothing_else() {
    refused(&abyss(), |host| host, "the compiler crashed over it (signal: ").await;
}

/// How long a request may take while a bomb is compiled. Far more than it takes where nobody else computes; compiling takes far
/// longer.
const SERVED: Duration = Duration::from_secs(5);

#[tokio::test]
async fn who_is_served_does_not_feel_that_a_new_component_is_a_bomb() {
    let good = "inputs: {text: {type: string}}\noutputs: {a: {type: object, reference: '${a.output}'}}\nnodes:\n\
                - {name: a, type: wasm, source: {type: code, path: a.wasm}, inputs: {text: '${inputs.text}'}}\n";
    let bytes = fs::read(guest("run_returns")).expect("a guest");
    let host = TestHost::written("bombed", good).file("a.wasm", bytes).env("WEIR_COMPILE_TIMEOUT", "3s");
    let file = host.path().join("a.wasm");
    let host = host.start().await;
    fs::write(file, bomb()).expect("the test's own folder");
    host.reload();
    let over = Cell::new(false);
    let ended = async {
        host.wrote("the files are wrong; serving on as before").await;
        over.set(true);
    };
    let served = async {
        let mut count = 0;
        while !over.get() {
            let asked = Instant::now();
            host.score(json!({"text": "x"})).await.assert_ok(json!({"a": {"text": "x"}}));
            assert_eq!(host.get("/health").await.status, 200);
            assert!(asked.elapsed() < SERVED, "a request took {:?}", asked.elapsed());
            count += 1;
        }
        count
    };
    let ((), count) = join(ended, served).await;
    assert!(count >= 10, "{count} requests in three seconds");
    host.score(json!({"text": "x"})).await.assert_ok(json!({"a": {"text": "x"}}));
    let exit = host.stop().await;
    assert!(exit.told().contains("it takes longer than 3s to compile"), "{}", exit.stderr);
}

/// A flow of a crate that was built: its component, and the lock with its digest.
fn built() -> HostBuilder {
    let bytes = fs::read(guest("run_returns")).expect("a guest");
    let digest: String = Sha256::digest(&bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all text");
        text
    });
    let flow = "inputs: {text: {type: string}}\noutputs: {a: {type: object, reference: '${a.output}'}}\nnodes:\n\
                - {name: a, type: wasm, source: {type: code, path: a}, inputs: {text: '${inputs.text}'}}\n";
    let host = TestHost::written("built", flow);
    for folder in ["a", ".weir/components"] {
        fs::create_dir_all(host.path().join(folder)).expect("the test's own folder");
    }
    let lock = json!({"components": {"a": {"digest": digest, "source": "unknown"}}});
    host.file("a/Cargo.toml", "")
        .file(".weir/lock.json", lock.to_string())
        .file(&format!(".weir/components/{digest}.wasm"), bytes)
}

/// Changes one bit of the built component.
fn flip(flow: &Path) {
    let components = flow.join(".weir/components");
    let file = fs::read_dir(components).expect("it was built").flatten().next().expect("one component").path();
    let mut bytes = fs::read(&file).expect("it was built");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).expect("the test's own folder");
}

const NOT_LOCKED: &str = "a: the built component is not the one that was locked; `weir build` builds it anew";

#[tokio::test]
async fn a_component_that_is_not_the_one_that_was_locked_is_not_loaded() {
    let host = built();
    flip(host.path());
    let exit = host.refuses().await;
    assert!(exit.told().contains(NOT_LOCKED), "{}", exit.stderr);
}

#[tokio::test]
async fn what_was_locked_is_served_on_when_its_file_has_changed() {
    let host = built();
    let flow = host.path().to_owned();
    let host = host.start().await;
    flip(&flow);
    host.reload();
    host.wrote("the files are wrong; serving on as before").await;
    host.score(json!({"text": "x"})).await.assert_ok(json!({"a": {"text": "x"}}));
    assert_eq!(host.get_admin("/readyz").await.status, 200);
    let exit = host.stop().await;
    assert!(exit.told().contains(NOT_LOCKED), "{}", exit.stderr);
}

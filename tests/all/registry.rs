//! Components in OCI registries: `weir push`, `weir pull`, and flows whose nodes are there. The registry is a real one.

use std::fs;
use std::path::Path;

use harness::{Exit, Registry, TestHost, guest};
use serde_json::{Value, json};
use tempfile::TempDir;

#[track_caller]
fn check(exit: &Exit, code: i32, wanted: &[&str]) {
    assert_eq!(exit.status.code(), Some(code), "{}\n{}", exit.stdout, exit.stderr);
    for wanted in wanted {
        let told = format!("{}{}", exit.stdout, exit.told());
        assert!(told.contains(wanted), "nothing of {wanted:?} in\n{told}");
    }
}

async fn push(component: impl AsRef<Path>, reference: &str) -> Exit {
    TestHost::folder(component).arg(reference).start_verb("push").exit().await
}

/// What is pushed, held to its digest: as `weir push` prints it.
async fn pushed(component: &str, reference: &str) -> String {
    let exit = push(guest(component), reference).await;
    check(&exit, 0, &["in a flow:  source: {type: oci, ref: "]);
    exit.stdout.split_whitespace().nth(1).expect("it prints what it has pushed").to_owned()
}

fn flow(reference: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(&folder, reference);
    folder
}

fn write(folder: &TempDir, reference: &str) {
    let text = format!(
        "inputs: {{grade: {{type: double}}}}\noutputs: {{grade: {{type: object, reference: '${{answer.output}}'}}}}\n\
         nodes:\n- name: answer\n  type: wasm\n  source: {{type: oci, ref: '{reference}'}}\n  \
         inputs: {{grade: '${{inputs.grade}}'}}\n"
    );
    fs::write(folder.path().join("flow.dag.yaml"), text).expect("the test's own folder can be written");
}

async fn build(folder: &TempDir, more: &[&str]) -> Exit {
    let host = more.iter().fold(TestHost::folder(folder.path()), |host, argument| host.arg(*argument));
    host.start_verb("build").exit().await
}

/// What the lock says of the flow's component: its digest, and that of its manifest.
fn locked(folder: &TempDir, reference: &str) -> (String, String) {
    let text = fs::read_to_string(folder.path().join(".weir/lock.json")).expect("the flow is built");
    let lock: Value = serde_json::from_str(&text).expect("a lock is JSON");
    let text = |name: &str| lock["components"][reference][name].as_str().expect("it is locked").to_owned();
    (text("digest"), text("source"))
}

#[tokio::test]
async fn a_flow_runs_what_was_pushed_without_asking_the_registry_again() {
    let registry = Registry::start().await;
    let reference = pushed("run_returns", &registry.name("nodes/returns:1.0")).await;
    let folder = flow(&reference);

    let exit = TestHost::folder(folder.path()).refuses().await;
    check(&exit, 2, &[&reference, "not built yet; run `weir build`"]);

    let exit = build(&folder, &[]).await;
    check(&exit, 0, &[&format!("pulling {reference}"), "1 components in "]);
    let (digest, manifest) = locked(&folder, &reference);
    assert!(reference.ends_with(&manifest), "{reference} {manifest}");
    let bytes = fs::read(guest("run_returns")).expect("the guest was built");
    assert_eq!(fs::read(folder.path().join(format!(".weir/components/{digest}.wasm"))).expect("it is kept"), bytes);

    drop(registry);
    let host = TestHost::folder(folder.path()).start().await;
    host.score(json!({"grade": 0.5})).await.assert_ok(json!({"grade": {"grade": 0.5}}));
    host.stop().await;
    check(&build(&folder, &["--update"]).await, 0, &[&format!("locked   {reference}")]);
}

#[tokio::test]
async fn what_is_pushed_has_the_layout_that_other_tools_know() {
    let registry = Registry::start().await;
    let reference = pushed("llm_chats", &registry.name("nodes/chats:1")).await;
    let manifest = registry.manifest("nodes/chats", "1").await;
    assert_eq!(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    let layers = manifest["layers"].as_array().expect("layers");
    assert_eq!((layers.len(), &layers[0]["mediaType"]), (1, &json!("application/wasm")));
    let config = registry.blob("nodes/chats", manifest["config"]["digest"].as_str().expect("a digest")).await;
    let config: Value = serde_json::from_slice(&config).expect("a configuration is JSON");
    assert_eq!((&config["architecture"], &config["os"]), (&json!("wasm"), &json!("wasip2")));
    assert_eq!(config["layerDigests"], json!([layers[0]["digest"]]));
    assert_eq!(config["component"]["exports"], json!(["weir:flow/handler@0.1.0"]));
    let imports = config["component"]["imports"].as_array().expect("imports");
    assert!(imports.contains(&json!("weir:flow/llm@0.1.0")), "{imports:?}");

    let again = pushed("llm_chats", &registry.name("nodes/chats:2")).await;
    let digest = |reference: &str| reference.rsplit('@').next().map(str::to_owned);
    assert_eq!(digest(&reference), digest(&again), "the same component is the same artifact");
}

#[tokio::test]
async fn a_tag_that_moves_changes_a_flow_only_when_it_is_asked_for() {
    let registry = Registry::start().await;
    let name = registry.name("nodes/moving:latest");
    let first = pushed("run_returns", &name).await;
    let folder = flow(&name);
    check(
        &build(&folder, &[]).await,
        0,
        &[&format!("a tag may move; to hold it to what was pulled, write ref: {first}")],
    );
    let locked_first = locked(&folder, &name);

    let second = pushed("run_traps", &name).await;
    check(&build(&folder, &[]).await, 0, &[&format!("locked   {name}")]);
    assert_eq!(locked(&folder, &name), locked_first);
    check(&build(&folder, &["--update"]).await, 0, &[&format!("pulling {name}")]);
    let (_, manifest) = locked(&folder, &name);
    assert!(second.ends_with(&manifest) && !first.ends_with(&manifest), "{first} {second} {manifest}");

    write(&folder, &first);
    check(&build(&folder, &[]).await, 0, &[&format!("pulling {first}")]);
    assert_eq!(
        locked(&folder, &first),
        locked_first,
        "an artifact whose tag has moved on is still there by its digest"
    );
}

#[tokio::test]
async fn a_registry_that_wants_a_password_is_asked_as_docker_was_told() {
    let registry = Registry::with_password().await;
    let name = registry.name("nodes/returns:1");
    let refused = format!("error: {name}: the registry gives it to nobody of this name and password; set `auths` in");
    check(&push(guest("run_returns"), &name).await, 2, &[&refused]);

    let docker = registry.credentials();
    let docker = docker.to_str().expect("a path of text");
    let known = TestHost::folder(guest("run_returns")).arg(&name).env("DOCKER_CONFIG", docker);
    check(&known.start_verb("push").exit().await, 0, &["pushed   "]);
    let folder = flow(&name);
    check(&build(&folder, &[]).await, 2, &[&refused]);
    check(
        &TestHost::folder(folder.path()).env("DOCKER_CONFIG", docker).start_verb("build").exit().await,
        0,
        &["pulling "],
    );
}

#[tokio::test]
async fn what_is_pulled_is_a_file_that_can_be_looked_at() {
    let registry = Registry::start().await;
    let reference = pushed("run_returns", &registry.name("nodes/returns:1")).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("mine.wasm");
    let output = file.to_str().expect("a path of text");
    let pull = TestHost::folder(&reference).arg("--output").arg(output).start_verb("pull").exit().await;
    check(&pull, 0, &[&format!("pulled   {reference}\n"), &format!("wrote    {output}  ")]);
    assert_eq!(fs::read(&file).expect("it was written"), fs::read(guest("run_returns")).expect("the guest was built"));
}

#[tokio::test]
async fn what_cannot_be_pulled_is_told_by_its_name_and_nothing_is_written() {
    let registry = Registry::start().await;
    let missing = registry.name("nodes/missing:1");
    let reference = pushed("run_returns", &registry.name("nodes/returns:1")).await;
    let mut manifest = registry.manifest("nodes/returns", "1").await;
    manifest["layers"][0]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+gzip");
    registry.put_manifest("nodes/returns", "image", &manifest).await;
    let image = registry.name("nodes/returns:image");
    let no_component = "is no component: it has layers of type application/vnd.oci.image.layer.v1.tar+gzip; \
                        expected one layer of type application/wasm";
    for (name, told) in [(&missing, "the registry has nothing of this name"), (&image, no_component)] {
        let folder = flow(name);
        check(&build(&folder, &[]).await, 2, &[&format!("error: {name}: {told}")]);
        assert!(!folder.path().join(".weir/lock.json").exists());
    }

    let folder = flow(&reference);
    let small = TestHost::folder(folder.path()).env("WEIR_COMPONENT_SIZE", "1KiB").start_verb("build");
    check(&small.exit().await, 2, &["larger than 1 KiB, the most that a component may have"]);

    registry.tamper(manifest["layers"][0]["digest"].as_str().expect("a digest"));
    let exit = build(&folder, &[]).await;
    check(&exit, 1, &[&format!("error: {reference}: what came is not what its digest says")]);
    assert!(!folder.path().join(".weir/lock.json").exists());

    drop(registry);
    let exit = build(&folder, &[]).await;
    check(&exit, 1, &[&format!("error: {reference}: "), "Connection refused"]);
}

#[tokio::test]
async fn what_no_host_would_run_is_not_pushed() {
    let registry = Registry::start().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("notes.wasm");
    fs::write(&file, "not a component").expect("the test's own folder can be written");
    check(&push(&file, &registry.name("nodes/notes:1")).await, 2, &["notes.wasm", "component"]);
    check(&push(folder.path().join("no.wasm"), &registry.name("nodes/no:1")).await, 2, &["No such file"]);
    check(&push(guest("run_returns"), "Nodes/Returns").await, 2, &["expected REGISTRY/REPOSITORY:TAG"]);
}

#[tokio::test]
async fn what_was_built_or_pulled_for_a_node_is_pushed_by_the_name_of_the_node() {
    let registry = Registry::start().await;
    let reference = pushed("run_returns", &registry.name("nodes/returns:1")).await;
    let folder = flow(&reference);
    check(&build(&folder, &[]).await, 0, &[]);
    let copy = registry.name("mirror/returns:1");
    let push = |node: &str| TestHost::folder(folder.path()).arg(&copy).arg("--node").arg(node).start_verb("push");
    check(&push("answer").exit().await, 0, &[&copy, reference.rsplit('@').next().expect("a digest")]);
    check(&push("question").exit().await, 2, &["--node question: no node of the flow; nodes are: answer"]);
}

#[tokio::test]
async fn a_source_in_a_registry_is_checked_as_it_is_written() {
    for (kind, source, told) in [
        ("wasm", "{type: oci}", "node \"answer\": a source of type oci has a ref"),
        ("wasm", "{type: oci, ref: Nodes/Returns}", "source ref \"Nodes/Returns\": invalid reference format"),
        ("wasm", "{type: oci, ref: a/b, path: c.wasm}", "a source of type oci has no path"),
        ("wasm", "{type: code, ref: a/b}", "a ref is of a source of type oci, and that of a node of type wasm"),
        ("python", "{type: oci, path: a.py}", "a ref is of a source of type oci, and that of a node of type wasm"),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = format!("inputs: {{}}\noutputs: {{}}\nnodes:\n- {{name: answer, type: {kind}, source: {source}}}\n");
        fs::write(folder.path().join("flow.dag.yaml"), text).expect("the test's own folder can be written");
        check(&TestHost::folder(folder.path()).start_verb("check").exit().await, 2, &[told, "flow.dag.yaml:4:"]);
    }
}

//! Files of nodes: what a flow grants is read, what a run writes is its own, and nothing else of the machine is there.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use harness::{Collector, HostBuilder, TestHost};
use serde_json::{Value, json};

use super::{host, outcomes};

/// A host whose flow folder has files to read, and beside it a file that nobody is to touch.
fn library(grants: &str) -> (HostBuilder, Canary) {
    let host = host("files_does", &format!("grants: {{files: {grants}}}"));
    let folder = host.path().to_owned();
    fs::create_dir_all(folder.join("data/en")).expect("the test's own folder");
    fs::write(folder.join("data/a.txt"), "alpha").expect("the test's own folder");
    fs::write(folder.join("data/en/b.txt"), "beta").expect("the test's own folder");
    fs::write(folder.join("secret.txt"), "not granted").expect("the test's own folder");
    let canary = Canary::beside(&folder);
    (host, canary)
}

/// A file outside of the flow folder: its text, times and number must stay.
struct Canary {
    path: std::path::PathBuf,
    was: (String, i64, i64, u64, u64),
}

impl Canary {
    fn beside(folder: &Path) -> Self {
        let path = folder.parent().expect("a folder above").join("canary.txt");
        fs::write(&path, "canary").expect("the test's own folder");
        let was = Self::state(&path);
        Self { path, was }
    }

    fn state(path: &Path) -> (String, i64, i64, u64, u64) {
        let text = fs::read_to_string(path).expect("the canary is there");
        let it = fs::metadata(path).expect("the canary is there");
        (text, it.mtime(), it.mtime_nsec(), it.ino(), it.nlink())
    }

    #[track_caller]
    fn is_well(&self) {
        assert_eq!(Self::state(&self.path), self.was);
    }
}

fn steps(lines: &[&str]) -> Value {
    lines.iter().map(|line| line.split(' ').collect::<Vec<_>>()).collect::<Vec<_>>().into()
}

#[track_caller]
fn check(outcomes: &[String], asked: &[(&str, &str)]) {
    let told: Vec<_> = asked.iter().map(|(step, _)| *step).zip(outcomes.iter().map(String::as_str)).collect();
    assert_eq!(told, asked);
}

async fn does(host: &TestHost, asked: &[(&str, &str)]) {
    let lines: Vec<_> = asked.iter().map(|(step, _)| *step).collect();
    check(&outcomes(host, steps(&lines)).await, asked);
}

/// What the standard library of a guest calls a path of which it has no folder: the host is not even asked.
pub(super) const NOT_GRANTED: &str = "Uncategorized";

#[tokio::test]
async fn a_granted_folder_is_read_and_nothing_else() {
    let (host, canary) = library("[data]");
    let collector = Collector::start();
    let host = host.collector(&collector).start().await;
    does(
        &host,
        &[
            ("read data/a.txt", "alpha"),
            ("read ./data/a.txt", "alpha"),
            ("read /data/en/b.txt", "beta"),
            ("list data", "a.txt en"),
            ("stat data/en", "folder"),
            ("stat data/a.txt", "5 bytes"),
            ("read data/missing", "NotFound"),
            ("read secret.txt", NOT_GRANTED),
            ("read flow.dag.yaml", NOT_GRANTED),
            ("read guests/files_does.wasm", NOT_GRANTED),
            ("list .", NOT_GRANTED),
        ],
    )
    .await;
    canary.is_well();
    host.stop().await;
    let trace = collector.only_trace().await;
    let calls = trace.span("asks").attributes["weir.files.calls"].as_u64();
    assert!(calls.is_some_and(|calls| calls >= 5), "{calls:?}");
}

/// Ways out of a folder that is read.
const OUT: [&str; 17] = [
    "read data/../secret.txt",
    "read data/../../canary.txt",
    "read data/en/../../../canary.txt",
    "read data/a.txt/../../../canary.txt",
    "read /etc/passwd",
    "read data//etc/passwd",
    "read data/../../../../../../../../etc/passwd",
    "read /proc/self/environ",
    "read data/out",
    "read data/out/",
    "read data/chain1",
    "read data/above/canary.txt",
    "read data/above/",
    "list data/above",
    "list data/above/",
    "read data/absolute/passwd",
    "read data/proc/environ",
];

#[tokio::test]
async fn no_path_leads_out_of_a_folder() {
    let (host, canary) = library("[data]");
    let data = host.path().join("data");
    symlink(&canary.path, data.join("out")).expect("the test's own folder");
    symlink("../..", data.join("above")).expect("the test's own folder");
    symlink("/etc", data.join("absolute")).expect("the test's own folder");
    symlink("/proc/self", data.join("proc")).expect("the test's own folder");
    symlink("loop", data.join("loop")).expect("the test's own folder");
    symlink("a.txt", data.join("within")).expect("the test's own folder");
    for link in 1..=40 {
        symlink(format!("chain{}", link + 1), data.join(format!("chain{link}"))).expect("the test's own folder");
    }
    symlink("out", data.join("chain41")).expect("the test's own folder");
    let collector = Collector::start();
    let host = host.collector(&collector).start().await;
    for step in OUT {
        let outcome = outcomes(&host, steps(&[step])).await;
        assert!(
            ["NotFound", "PermissionDenied", "NotADirectory", "FilesystemLoop", "Uncategorized"]
                .contains(&outcome[0].as_str()),
            "{step}: {outcome:?}"
        );
    }
    let long = format!("read data/{}", "x".repeat(256));
    does(&host, &[("read data/within", "alpha"), (&long, "InvalidFilename"), ("stat data/loop", "FilesystemLoop")])
        .await;
    canary.is_well();
    host.stop().await;
    // Those that a folder's own guard has refused are told of as any denial is.
    assert!(collector.metric("weir.capability.denial").label("capability", "files").count() >= 3);
}

#[tokio::test]
async fn what_is_only_read_is_not_changed_in_any_way() {
    let (host, canary) = library("[data]");
    let data = host.path().join("data");
    let host = host.start().await;
    for step in [
        "write data/a.txt x",
        "write data/new.txt x",
        "truncate data/a.txt",
        "append data/a.txt x",
        "create data/new.txt",
        "mkdir data/new",
        "unlink data/a.txt",
        "rmdir data/en",
        "rename data/a.txt data/b.txt",
        "hardlink data/a.txt data/b.txt",
        "symlink a.txt data/link",
        "grow data/a.txt 1",
        "rename data/a.txt ../canary.txt",
        "hardlink ../canary.txt data/b.txt",
    ] {
        let outcome = outcomes(&host, steps(&[step])).await;
        assert!(["PermissionDenied", "NotFound", NOT_GRANTED].contains(&outcome[0].as_str()), "{step}: {outcome:?}");
    }
    does(&host, &[("list data", "a.txt en"), ("read data/a.txt", "alpha")]).await;
    canary.is_well();
    let names: Vec<_> = fs::read_dir(&data).expect("a folder").flatten().map(|it| it.file_name()).collect();
    assert_eq!((names.len(), fs::read_to_string(data.join("a.txt")).expect("a file")), (2, "alpha".to_owned()));
    host.stop().await;
}

#[tokio::test]
async fn a_pipe_and_a_device_are_no_files() {
    let (host, _) = library("[data]");
    let pipe = host.path().join("data/pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo is there");
    assert!(made.success());
    // Only some who run tests may make a device: where they may not, it is the pipe alone that is tried.
    let zeros = host.path().join("data/zeros");
    let device = std::process::Command::new("mknod").arg(&zeros).args(["c", "1", "5"]).output();
    let device = device.is_ok_and(|it| it.status.success()) && fs::File::open(&zeros).is_ok();
    let host = host.start().await;
    // Opened as a file the pipe would keep a thread until somebody writes to it.
    for _ in 0..20 {
        does(&host, &[("begin data/pipe", "PermissionDenied"), ("read data/pipe", "PermissionDenied")]).await;
        if device {
            does(&host, &[("begin data/zeros", "PermissionDenied")]).await;
        }
    }
    does(&host, &[("read data/a.txt", "alpha"), ("stat data/en", "folder")]).await;
    host.stop().await;
}

/// A host whose nodes may write, and where they do.
fn writable(grants: &str) -> (HostBuilder, Canary, tempfile::TempDir) {
    let (host, canary) = library(grants);
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let path = scratch.path().to_string_lossy().into_owned();
    (host.env("WEIR_SCRATCH_DIR", path), canary, scratch)
}

/// Files and folders of runs, at any depth.
fn left(scratch: &Path) -> Vec<std::path::PathBuf> {
    let flows = fs::read_dir(scratch).into_iter().flatten().flatten().map(|it| it.path()).filter(|it| it.is_dir());
    flows.flat_map(|flow| fs::read_dir(flow).into_iter().flatten().flatten().map(|it| it.path())).collect()
}

const WRITES: &str = "[data, {path: work, write: true}]";

#[tokio::test]
async fn what_a_run_writes_is_its_own_and_gone_with_it() {
    let (host, canary, scratch) = writable(WRITES);
    let flow = host.path().to_owned();
    let collector = Collector::start();
    let host = host.collector(&collector).start().await;
    for _ in 0..2 {
        does(
            &host,
            &[
                ("list work", ""),
                ("write work/a.txt hello", "done"),
                ("read work/a.txt", "hello"),
                ("append work/a.txt -world", "done"),
                ("read work/a.txt", "hello-world"),
                ("mkdir work/sub", "done"),
                ("rename work/a.txt work/sub/b.txt", "done"),
                ("list work/sub", "b.txt"),
                ("truncate work/sub/b.txt", "done"),
                ("stat work/sub/b.txt", "0 bytes"),
                ("unlink work/sub/b.txt", "done"),
                ("rmdir work/sub", "done"),
                ("write work/left.txt secret", "done"),
                // What could lead elsewhere is not made.
                ("symlink /etc work/link", "PermissionDenied"),
                ("hardlink data/a.txt work/a.txt", "PermissionDenied"),
                ("rename data/a.txt work/a.txt", "PermissionDenied"),
                ("rename work/left.txt data/a.txt", "PermissionDenied"),
                ("read data/a.txt", "alpha"),
            ],
        )
        .await;
    }
    assert_eq!(left(scratch.path()), Vec::<std::path::PathBuf>::new());
    assert!(!flow.join("work").exists());
    canary.is_well();
    host.stop().await;
    assert_eq!(fs::read_dir(scratch.path()).expect("a folder").count(), 0);
    let spans = collector.spans();
    let written: Vec<_> =
        spans.iter().filter(|it| it.name == "asks").map(|it| &it.attributes["weir.files.written"]).collect();
    assert_eq!(written, [&json!(17), &json!(17)]);
}

#[tokio::test]
async fn a_run_writes_no_more_than_it_may() {
    let (host, _, scratch) = writable(WRITES);
    let host = host.env("WEIR_SCRATCH_MAX_BYTES", "1MiB").start().await;
    let mib = 1 << 20;
    does(&host, &[("fill work/a 2000000", &format!("{mib} then QuotaExceeded"))]).await;
    // Nor in many files, nor by writing over, nor by files with holes.
    does(
        &host,
        &[
            ("fill work/a 524288", "524288"),
            ("fill work/a 524288", "524288"),
            ("fill work/b 65536", "0 then QuotaExceeded"),
            ("far work/c 100000000000", "QuotaExceeded"),
            ("grow work/d 100000000000", "QuotaExceeded"),
            ("many work 2000", "996 then QuotaExceeded"),
        ],
    )
    .await;
    // And the next run has as much again.
    does(&host, &[("fill work/a 1048576", "1048576")]).await;
    host.stop().await;
    assert_eq!(left(scratch.path()), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn folders_that_are_deeper_than_a_host_has_descriptors_are_gone_with_their_run() {
    let (host, _, scratch) = writable(WRITES);
    let host = host.start().await;
    does(&host, &[("list work", "")]).await;
    host.limit_descriptors(128);
    for _ in 0..2 {
        does(&host, &[("deep work 500", "done"), ("many work 2000", "499 then QuotaExceeded")]).await;
        assert_eq!(left(scratch.path()), Vec::<std::path::PathBuf>::new());
    }
    host.stop().await;
    assert_eq!(fs::read_dir(scratch.path()).expect("a folder").count(), 0);
}

#[tokio::test]
async fn what_a_killed_host_left_is_cleared_by_the_next() {
    let (host, _, scratch) = writable(WRITES);
    let host = host.start().await;
    // Of a run that is in the middle of its work when the host is killed, what it wrote is still there.
    let left_over = scratch.path().join("weir-scratch-left");
    fs::create_dir_all(left_over.join("run")).expect("the test's own folder");
    fs::write(left_over.join("run/a.txt"), "secret").expect("the test's own folder");
    fs::write(left_over.with_extension("lock"), "").expect("the test's own folder");
    host.kill().await;
    assert_eq!(fs::read_dir(scratch.path()).expect("a folder").count(), 4, "two folders with their locks");
    let path = scratch.path().to_string_lossy().into_owned();
    let next = library(WRITES).0.env("WEIR_SCRATCH_DIR", path).start().await;
    assert_eq!(fs::read_dir(scratch.path()).expect("a folder").count(), 2, "its own folder and lock");
    next.stop().await;
    assert_eq!(fs::read_dir(scratch.path()).expect("a folder").count(), 0);
}

#[tokio::test]
async fn a_flow_that_asks_for_a_folder_it_cannot_have_does_not_start() {
    let (host, _) = library("[data, missing, ../x, {path: work, write: true}]");
    let exit = host.refuses().await;
    for part in [
        "node \"asks\": grants.files: missing: No such file or directory",
        "node \"asks\": grants.files: \"../x\": expected a folder inside the flow folder, such as data or docs/en",
        "node \"asks\": grants.files: \"work\": nodes may write nothing on this host; the operator allows it by WEIR_SCRATCH_DIR",
    ] {
        assert!(exit.told().contains(part), "{part}: {}", exit.stderr);
    }
    let (host, _, _scratch) = writable("[data, {path: work, write: true}]");
    let host = host.file("policy.yaml", "files: [data, docs/*]\n");
    let policy = host.path().join("policy.yaml").display().to_string();
    let exit = host.arg("--policy").arg(policy).refuses().await;
    let beyond = "node \"asks\": grants.files: \"work\" to write is more than flows may ask for by";
    assert!(exit.told().contains(beyond) && !exit.told().contains("grants.files: \"data\""), "{}", exit.stderr);
}

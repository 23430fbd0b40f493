//! Compiled code: kept on disk, read by the next start, and run only if this host has made it and nobody touched it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use harness::{Exit, TestHost};
use serde_json::json;

/// Starts a host of two components on a cache, asks, and stops it: how many it found there, had to compile, and refused.
async fn start(cache: &Path) -> ([u64; 3], Exit) {
    let flow = "
inputs: {text: {type: string}}
outputs: {a: {type: object, reference: '${a.output}'}, b: {type: string, reference: '${b.output}'}}
nodes:
- {name: a, type: wasm, source: {type: code, path: guests/run_returns.wasm}, inputs: {text: '${inputs.text}'}}
- {name: b, type: wasm, source: {type: code, path: guests/text_upper.wasm}, inputs: {text: '${inputs.text}'}}
";
    let host = TestHost::written("cached", flow).env("WEIR_CACHE_DIR", cache.to_string_lossy()).start().await;
    host.score(json!({"text": "a"})).await.assert_ok(json!({"a": {"text": "a"}, "b": "A"}));
    let metrics = host.get_admin("/metrics").await.text().to_owned();
    let lookups = ["hit", "miss", "refused"].map(|result| {
        let series = format!("weir_compile_cache_lookup_total{{result=\"{result}\"}} ");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&series));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {series} in {metrics}"))
    });
    (lookups, host.stop().await)
}

/// Files of compiled code.
fn kept(cache: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(cache).expect("the cache").flatten().map(|file| file.path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|end| end == "cwasm")).collect();
    files.sort();
    files
}

#[tokio::test]
async fn what_was_compiled_is_read_by_the_next_start() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let cache = home.path().join("cache");
    assert_eq!(start(&cache).await.0, [0, 2, 0]);
    let files = kept(&cache);
    assert_eq!(files.len(), 2, "{files:?}");
    let modes = [cache.clone(), cache.join("key"), files[0].clone()]
        .map(|path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777);
    assert_eq!(modes, [0o700, 0o600, 0o600]);
    let (lookups, exit) = start(&cache).await;
    assert_eq!(lookups, [2, 0, 0]);
    assert!(!exit.stderr.contains("compile cache"), "{}", exit.stderr);
}

/// Whoever waits for a start sees what it waits for. Copies of a component are one.
#[tokio::test]
async fn a_start_tells_what_it_compiles_and_compiles_nothing_twice() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let node = |name: &str, file: &str| {
        format!(
            "- {{name: {name}, type: wasm, source: {{type: code, path: {file}}}, inputs: {{text: '${{inputs.text}}'}}}}\n"
        )
    };
    let upper = "guests/text_upper.wasm";
    let nodes = [node("a", upper), node("b", "guests/run_returns.wasm"), node("c", upper), node("d", "copy.wasm")];
    let flow = "inputs: {text: {type: string}}\noutputs: {d: {type: string, reference: '${d.output}'}}\nnodes:\n";
    let start = async || {
        let host = TestHost::written("cold", &(flow.to_owned() + &nodes.concat()));
        let host = host.file("copy.wasm", fs::read(harness::guest("text_upper")).expect("the guest is built"));
        let host = host.env("WEIR_CACHE_DIR", home.path().join("cache").to_string_lossy()).start().await;
        host.score(json!({"text": "a"})).await.assert_ok(json!({"d": "A"}));
        host.stop().await.stderr
    };
    let told = |log: &str, message: &str| log.lines().filter(|line| line.contains(message)).count();
    let log = start().await;
    assert_eq!((told(&log, "compiling a component"), told(&log, "compiled component")), (2, 2), "{log}");
    assert_eq!((told(&log, "run_returns.wasm"), told(&log, "text_upper.wasm")), (2, 2), "{log}");
    let log = start().await;
    assert_eq!(told(&log, "compil"), 0, "{log}");
}

/// Does something to one of two files: it must be compiled anew, counted and told, and made whole again.
async fn distrusted(cache: &Path, harm: &str, why: &str, change: impl FnOnce(&[PathBuf])) {
    let files = kept(cache);
    let before = fs::read(&files[0]).expect("compiled code");
    change(&files);
    let (lookups, exit) = start(cache).await;
    assert_eq!(lookups, [1, 0, 1], "{harm}: {}", exit.stderr);
    assert!(exit.stderr.contains("a file of the compile cache is not used; compiling anew"), "{harm}: {}", exit.stderr);
    assert!(exit.stderr.contains(why), "{harm}: {}", exit.stderr);
    assert!(fs::symlink_metadata(&files[0]).expect("it is there").is_file(), "{harm}");
    assert_eq!(fs::read(&files[0]).expect("compiled code"), before, "{harm}: it is written as it was");
    assert_eq!(start(cache).await.0, [2, 0, 0], "{harm}: and trusted again");
}

#[tokio::test]
async fn code_that_is_not_whole_or_not_ours_is_compiled_anew() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let cache = home.path().join("cache");
    start(&cache).await;
    let seal = "its seal is not the one that belongs to it";
    distrusted(&cache, "one bit is another", seal, |files| {
        let mut code = fs::read(&files[0]).expect("compiled code");
        let middle = code.len() / 2;
        code[middle] ^= 1;
        fs::write(&files[0], code).expect("written");
    })
    .await;
    for left in [0, 1, 31, 1000] {
        distrusted(&cache, "it is cut", seal, |files| {
            let code = fs::read(&files[0]).expect("compiled code");
            fs::write(&files[0], &code[..left]).expect("written");
        })
        .await;
    }
    // With a seal of its own, and yet not what its name says.
    distrusted(&cache, "it is another's", seal, |files| {
        fs::copy(&files[1], &files[0]).expect("copied");
    })
    .await;
    let elsewhere = home.path().join("elsewhere");
    fs::copy(&kept(&cache)[0], &elsewhere).expect("copied");
    distrusted(&cache, "it is a link", "Too many levels of symbolic links", |files| {
        fs::remove_file(&files[0]).and_then(|()| symlink(&elsewhere, &files[0])).expect("linked");
    })
    .await;
    distrusted(&cache, "others can write to it", "others can write to it", |files| {
        fs::set_permissions(&files[0], fs::Permissions::from_mode(0o622)).expect("changed");
    })
    .await;
    if rustix::process::geteuid().is_root() {
        distrusted(&cache, "it is of another user", "it belongs to another user", |files| {
            std::os::unix::fs::chown(&files[0], Some(65534), None).expect("root may");
        })
        .await;
    }
    // Made by another host: whole, sealed, and by a key that is not ours.
    let other = home.path().join("other");
    start(&other).await;
    distrusted(&cache, "it has another's seal", seal, |files| {
        let name = files[0].file_name().expect("a file has a name");
        fs::copy(other.join(name), &files[0]).expect("copied");
    })
    .await;
}

#[tokio::test]
async fn code_of_another_version_is_not_even_looked_at() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let cache = home.path().join("cache");
    start(&cache).await;
    for file in kept(&cache) {
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        let (digest, _) = name.split_once('-').expect("a digest, and what it was compiled for");
        fs::rename(&file, cache.join(format!("{digest}-0000000000000000.cwasm"))).expect("renamed");
    }
    assert_eq!(start(&cache).await.0, [0, 2, 0]);
}

#[tokio::test]
async fn a_folder_that_is_not_ours_alone_is_not_used() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let cache = home.path().join("cache");
    start(&cache).await;
    let refused = async |why: &str| {
        let (lookups, exit) = start(&cache).await;
        assert_eq!(lookups, [0, 2, 0], "{why}");
        assert!(exit.stderr.contains("the compile cache is not used"), "{}", exit.stderr);
        assert!(exit.stderr.contains(why), "{}", exit.stderr);
    };
    let mode = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("modes can be changed");
    };
    mode(&cache, 0o777);
    refused("others can write to it").await;
    mode(&cache, 0o700);
    let key = cache.join("key");
    mode(&key, 0o666);
    refused("its file `key`: others can write to it").await;
    mode(&key, 0o600);
    fs::write(&key, "short").expect("written");
    refused("its file `key` is not 32 bytes; remove the folder").await;
    // A key that was lost is another one from now on, and what the old one sealed is no longer trusted.
    fs::remove_file(&key).expect("removed");
    assert_eq!(start(&cache).await.0, [0, 0, 2]);
    assert_eq!(start(&cache).await.0, [2, 0, 0]);
}

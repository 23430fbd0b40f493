//! Compiled code on disk: written once, read by the next start, and trusted only while nobody else can write to it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use harness::TestHost;
use serde_json::json;

#[tokio::test]
async fn what_was_compiled_is_kept_and_used_only_while_nobody_else_can_write_to_it() {
    let cache = tempfile::tempdir().expect("a temporary folder");
    let start = async || {
        let host = TestHost::flow("run_returns").env("WEIR_CACHE_DIR", cache.path().to_string_lossy()).start().await;
        host.score(json!({"text": "a"})).await.assert_ok(json!({"text": "a"}));
        host.stop().await
    };
    start().await;
    let kept: Vec<_> = fs::read_dir(cache.path()).expect("the cache").flatten().map(|file| file.path()).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let compiled = fs::read(&kept[0]).expect("compiled code");
    let written = || fs::metadata(&kept[0]).and_then(|file| file.modified()).expect("a file has a time");
    let first = written();

    let exit = start().await;
    assert!(!exit.stderr.contains("compile cache"), "{}", exit.stderr);
    assert_eq!(written(), first, "the second start reads what the first wrote");

    fs::write(&kept[0], &compiled[..compiled.len() / 2]).expect("a file can be cut");
    start().await;
    assert_eq!(fs::read(&kept[0]).expect("compiled code").len(), compiled.len(), "cut code is compiled anew");

    fs::set_permissions(&kept[0], fs::Permissions::from_mode(0o666)).expect("a file can be opened to all");
    let exit = start().await;
    assert!(exit.stderr.contains("a file of the compile cache is not used"), "{}", exit.stderr);
    fs::set_permissions(cache.path(), fs::Permissions::from_mode(0o777)).expect("a folder can be opened to all");
    let exit = start().await;
    assert!(exit.stderr.contains("the compile cache is not used"), "{}", exit.stderr);
}

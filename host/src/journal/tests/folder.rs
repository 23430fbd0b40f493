//! A journal in a real folder.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn open_folder(path: &Path) -> Result<Journal, OpenError> {
    Journal::open(path, LIMITS, &mut |_, _| {})
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_folder_is_made_and_is_its_owners_alone() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("data/feedback");
    let journal = open_folder(&path).unwrap();
    append(&journal, b"one").unwrap();
    assert_eq!(mode(&path), 0o700);
    let files: Vec<_> = fs::read_dir(&path).unwrap().map(|it| it.unwrap().path()).collect();
    assert_eq!(files.len(), 2, "a segment and the lock");
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
    close(journal);
    let journal = open_folder(&path).unwrap();
    assert_eq!(payloads(&journal), [b"one"]);
}

#[test]
fn a_folder_has_one_owner_at_a_time() {
    let home = tempfile::tempdir().unwrap();
    let journal = open_folder(home.path()).unwrap();
    let told = open_folder(home.path()).unwrap_err().to_string();
    let expected = format!("the folder {} is used by another process;", home.path().display());
    assert!(told.starts_with(&expected), "{told}");
    drop(journal);
    open_folder(home.path()).unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let told = open_folder(&file.join("feedback")).unwrap_err().to_string();
    assert_eq!(told, format!("the folder {} cannot be used", file.join("feedback").display()));
}

#[test]
fn ten_thousand_records_are_read_again_soon() {
    let home = tempfile::tempdir().unwrap();
    let limits = Limits { bytes: 64 * 1024 * 1024 };
    let journal = Journal::open(home.path(), limits, &mut |_, _| {}).unwrap();
    let waiting: Vec<_> = (0..10_000).map(|_| journal.append(vec![b'x'; 1000])).collect();
    assert!(waiting.into_iter().all(|it| block_on(it).is_ok()));
    close(journal);
    let started = Instant::now();
    let journal = Journal::open(home.path(), limits, &mut |_, _| {}).unwrap();
    assert_eq!(journal.status().pending, 10_000);
    // Two seconds are the promise; a busy machine must not fail it.
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

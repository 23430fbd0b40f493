//! Is ARCHITECTURE.md true? Holds the code against the map, and the map against the files.
//!
//! Of the text, three things are read: the table that begins `| Module |` (see [`map`]), the drawn trees in fenced
//! blocks, and every path in backticks. Of the code, every path that begins with `crate`, `super` or the name of a
//! dependency, wherever it stands (see [`code`]); tests within modules may use what they like.

mod code;
mod map;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use self::code::Source;
use self::map::Map;

#[test]
fn modules_use_only_what_the_map_allows() {
    let map = Map::read(&text("ARCHITECTURE.md"), &dependencies());
    let mut faults = Vec::new();
    for source in sources() {
        faults.extend(source.imports(&dependencies()).iter().filter_map(|import| map.objection(import)));
    }
    assert!(faults.is_empty(), "against the table of ARCHITECTURE.md:\n{}", faults.join("\n"));
}

#[test]
fn every_module_stands_in_the_map() {
    let map = Map::read(&text("ARCHITECTURE.md"), &dependencies());
    let unknown: Vec<String> =
        sources().into_iter().map(|source| source.path).filter(|path| !map.knows(path)).collect();
    assert_eq!(unknown, Vec::<String>::new(), "these files belong to no row of the table in ARCHITECTURE.md");
}

#[test]
fn no_capability_knows_another() {
    let mut faults = Vec::new();
    for source in sources() {
        let Some(own) = source.module.strip_prefix("capability::") else { continue };
        let own = own.split("::").next().unwrap_or_default();
        for import in source.imports(&dependencies()) {
            let other = import.target.strip_prefix("crate::capability::").and_then(|rest| rest.split("::").next());
            if other.is_some_and(|other| other != own && is_capability(other)) {
                faults.push(format!("{import}: a capability may not use another"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn only_one_module_of_the_host_has_unsafe_code() {
    let unsafe_files: Vec<String> =
        sources().into_iter().filter(Source::has_unsafe).map(|source| source.path).collect();
    let allowed = ["sandbox/precompiled.rs".to_owned()];
    assert!(
        unsafe_files.iter().all(|file| allowed.contains(file)),
        "unsafe code belongs into {allowed:?}, with its argument; it is also in {unsafe_files:?}"
    );
}

#[test]
fn the_modules_of_the_host_stand_in_the_order_of_the_map() {
    let drawn: Vec<String> = map::drawn_modules(&text("ARCHITECTURE.md"), "host/src/");
    let declared = Source::read(&host(), &host().join("lib.rs")).modules();
    let drawn: Vec<String> = drawn.into_iter().filter(|module| declared.contains(module)).collect();
    assert_eq!(declared, drawn, "lib.rs declares the modules in an order of its own, or the map leaves some out");
}

#[test]
fn every_path_in_the_documents_exists() {
    let mut faults = Vec::new();
    for document in ["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md", "SECURITY.md"] {
        for path in map::paths(&text(document)) {
            if !exists(&path) {
                faults.push(format!("{document} names {path:?}, which is not there"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_make_target_in_the_documents_exists() {
    let makefile = text("Makefile");
    let mut faults = Vec::new();
    for document in ["README.md", "CONTRIBUTING.md", ".ci/run"] {
        for target in map::make_targets(&text(document)) {
            if !makefile.lines().any(|line| line.starts_with(&format!("{target}:"))) {
                faults.push(format!("{document} says `make {target}`, which the Makefile does not have"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_variable_of_ours_in_the_documents_is_read_somewhere() {
    let mut code: Vec<String> = sources().into_iter().map(|source| source.text).collect();
    code.extend([".ci/guest-target.sh", ".ci/run", "Makefile"].map(text));
    code.extend(rust_files(&repository("tests/harness")).iter().map(|file| read(file)));
    let mut faults = Vec::new();
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"] {
        for name in map::variables(&text(document)) {
            if !code.iter().any(|text| text.contains(&name)) {
                faults.push(format!("{document} names {name}, which nothing reads"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A capability is a module with an adapter to the WIT; its siblings (the list, shared code) are none.
fn is_capability(name: &str) -> bool {
    host().join("capability").join(name).join("wit.rs").exists()
}

/// A path as documents write it: from the repository, or from `host/src`.
fn exists(path: &str) -> bool {
    repository(path).exists() || host().join(path).exists()
}

fn sources() -> Vec<Source> {
    let root = host();
    rust_files(&root).iter().map(|file| Source::read(&root, file)).collect()
}

/// Names by which code refers to the host's dependencies.
fn dependencies() -> BTreeSet<String> {
    let manifest = text("host/Cargo.toml");
    let section = manifest.split("[dependencies]").nth(1).expect("the host has dependencies");
    let section = section.split("\n[").next().unwrap_or_default();
    let names = section.lines().filter_map(|line| line.split(['.', ' ', '=']).next()).filter(|name| !name.is_empty());
    names.filter(|name| !name.starts_with('#')).map(|name| name.replace('-', "_")).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a folder of the repository can be read").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn host() -> PathBuf {
    repository("host/src")
}

fn text(path: &str) -> String {
    read(&repository(path))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

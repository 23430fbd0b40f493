//! Machine code that was compiled before, on disk: the one place of the host that needs `unsafe`.
//!
//! Compiling takes from tenths of a second to half a minute; loading what was compiled, a millisecond. But loading
//! runs the file as machine code without a check, so a file from anyone else would be an open door. The argument
//! why it is sound here:
//!
//! - only files of the cache folder are loaded, never one that came with a flow or from a network;
//! - the folder must belong to the user who runs the host, and nobody else may write to it, nor to a file in it;
//!   otherwise it is not used at all;
//! - a file's name holds the digest of the component and a fingerprint of engine, its settings and the CPU, and files
//!   are written under another name and renamed, so that a file is either whole or absent;
//! - wasmtime itself checks its version and the engine's settings at the head of the file.
//!
//! Whoever can write as this user can replace the host's binary as well: the cache adds no new way in.
#![expect(unsafe_code, reason = "wasmtime trusts precompiled code; see the argument at the top of this module")]

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::sandbox::component::Digest;

/// The folder of compiled components; or none, then everything is compiled anew.
#[derive(Debug)]
pub(super) struct Cache {
    dir: Option<PathBuf>,
    /// Engine, settings and CPU.
    fingerprint: u64,
    found: AtomicU64,
    anew: AtomicU64,
}

/// How components became machine code since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lookups {
    /// They were in the folder.
    pub found: u64,
    /// They were compiled.
    pub anew: u64,
}

impl Cache {
    /// Makes the folder if need be. A folder that cannot be trusted or made is not used, and the log says why.
    pub(super) fn open(dir: Option<PathBuf>, fingerprint: u64) -> Self {
        let usable = dir.filter(|dir| match prepare(dir) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(dir = %dir.display(), %error, "the compile cache is not used");
                false
            }
        });
        Self { dir: usable, fingerprint, found: AtomicU64::new(0), anew: AtomicU64::new(0) }
    }

    /// The compiled form of `bytes`, whose digest is `digest`.
    pub(super) fn load(&self, engine: &Engine, digest: &Digest, bytes: &[u8]) -> wasmtime::Result<Component> {
        let Some(dir) = &self.dir else {
            self.anew.fetch_add(1, Ordering::Relaxed);
            return Component::new(engine, bytes);
        };
        let path = dir.join(format!("{digest}-{:016x}.cwasm", self.fingerprint));
        if let Some(component) = self.read(engine, &path) {
            self.found.fetch_add(1, Ordering::Relaxed);
            return Ok(component);
        }
        self.anew.fetch_add(1, Ordering::Relaxed);
        let component = Component::new(engine, bytes)?;
        if let Err(error) = write(&path, &component) {
            tracing::warn!(path = %path.display(), %error, "a compiled component could not be kept");
        }
        Ok(component)
    }

    pub(super) fn lookups(&self) -> Lookups {
        Lookups { found: self.found.load(Ordering::Relaxed), anew: self.anew.load(Ordering::Relaxed) }
    }

    fn read(&self, engine: &Engine, path: &Path) -> Option<Component> {
        let found = fs::symlink_metadata(path).ok()?;
        if let Err(error) = is_ours_alone(&found).and_then(|()| is_file(&found)) {
            tracing::warn!(path = %path.display(), %error, "a file of the compile cache is not used");
            return None;
        }
        // SAFETY: the file is one that this user's host wrote (see the module's argument), checked just above.
        let loaded = unsafe { Component::deserialize_file(engine, path) };
        loaded.inspect_err(|error| tracing::debug!(path = %path.display(), %error, "compiling anew")).ok()
    }
}

fn prepare(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    is_ours_alone(&fs::metadata(dir)?)
}

/// Written by this user, and nobody else can write.
fn is_ours_alone(metadata: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    // The owner of /proc/self is the user this process runs as; it spares a dependency for one number.
    let user = fs::metadata("/proc/self").map_or(metadata.uid(), |this| this.uid());
    if metadata.uid() != user {
        return Err(io::Error::other("it belongs to another user"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(io::Error::other("others can write to it"));
    }
    Ok(())
}

fn is_file(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() { Ok(()) } else { Err(io::Error::other("it is not a plain file")) }
}

fn write(path: &Path, component: &Component) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let code = component.serialize().map_err(io::Error::other)?;
    let unfinished = path.with_extension(format!("{}.tmp", uuid::Uuid::new_v4()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let written = file.write_all(&code).and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written
}

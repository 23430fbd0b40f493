//! Machine code that was compiled before, on disk: the one place of the host that needs `unsafe`.
//!
//! Compiling takes from tenths of a second to half a minute; loading what was compiled, milliseconds. But loading
//! runs what is loaded as machine code without a check, so code from anyone else would be an open door. The argument
//! why it is sound here. What is loaded comes from one of two places:
//!
//! - the compiler, which this process has started itself and hears through a pipe that nobody else has (compile.rs);
//! - a file of the cache folder whose bytes carry the right seal. The seal is made with a key that lies in the same folder
//!   and is read by this user alone, and covers the file's name, which holds the digest of the component and a fingerprint of
//!   engine, its settings and the CPU. So a file that came from elsewhere, was cut, has a bit changed or was renamed is not
//!   loaded. The bytes are read once, and it is those that were checked that are loaded.
//!
//! The folder must belong to the user who runs the host, and nobody else may write to it, nor to a file in it; otherwise it
//! is not used at all. Files are written under another name and renamed. wasmtime itself checks its version and the
//! engine's settings at the head of the code.
//!
//! Whoever can write as this user, or read the key and write, can replace the host's binary as well: the cache adds no new
//! way in.
#![expect(unsafe_code, reason = "wasmtime trusts precompiled code; see the argument at the top of this module")]

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use rustix::fs::OFlags;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::sandbox::compile::CompileError;
use crate::sandbox::component::Digest;

/// Name of the file with the key.
const KEY: &str = "key";

/// Bytes of a key and of a seal: those of SHA-256.
const KEY_LEN: usize = 32;
const SEAL_LEN: usize = 32;

/// The folder of compiled components; or none, then everything is compiled anew.
#[derive(Debug)]
pub(super) struct Cache {
    kept: Option<Kept>,
    /// Engine, settings and CPU.
    fingerprint: u64,
    found: AtomicU64,
    anew: AtomicU64,
    refused: AtomicU64,
}

/// The folder and its key.
struct Kept {
    dir: PathBuf,
    key: hmac::Key,
}

/// How components became machine code since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lookups {
    /// They were in the folder.
    pub found: u64,
    /// They were not, and so were compiled.
    pub anew: u64,
    /// A file was there that is not to be trusted, or not whole, and so they were compiled.
    pub refused: u64,
}

impl Cache {
    /// Makes the folder if need be. A folder that cannot be trusted or made is not used, and the log says why.
    pub(super) fn open(dir: Option<PathBuf>, fingerprint: u64) -> Self {
        let kept = dir.and_then(|dir| match prepare(&dir) {
            Ok(key) => Some(Kept { dir, key }),
            Err(error) => {
                tracing::warn!(dir = %dir.display(), %error, "the compile cache is not used");
                None
            }
        });
        Self { kept, fingerprint, found: AtomicU64::new(0), anew: AtomicU64::new(0), refused: AtomicU64::new(0) }
    }

    /// The component of this digest, which `compile` makes machine code of unless it is here.
    pub(super) fn load(
        &self,
        engine: &Engine,
        digest: &Digest,
        compile: impl FnOnce() -> Result<Vec<u8>, CompileError>,
    ) -> Result<Component, CompileError> {
        let name = format!("{digest}-{:016x}.cwasm", self.fingerprint);
        match self.kept.as_ref().map(|kept| kept.read(&name)) {
            Some(Ok(Some(code))) => match load(engine, &code) {
                Ok(component) => {
                    self.found.fetch_add(1, Ordering::Relaxed);
                    return Ok(component);
                }
                Err(error) => self.refuse(&name, &error),
            },
            Some(Err(error)) => self.refuse(&name, &error),
            Some(Ok(None)) | None => drop(self.anew.fetch_add(1, Ordering::Relaxed)),
        }
        let code = compile()?;
        let component = load(engine, &code).map_err(|error| CompileError::Failed(format!("{error:#}")))?;
        if let Some(Err(error)) = self.kept.as_ref().map(|kept| kept.write(&name, code)) {
            tracing::warn!(file = name, %error, "a compiled component could not be kept");
        }
        Ok(component)
    }

    pub(super) fn lookups(&self) -> Lookups {
        let now = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Lookups { found: now(&self.found), anew: now(&self.anew), refused: now(&self.refused) }
    }

    fn refuse(&self, name: &str, why: &dyn std::fmt::Display) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(file = name, error = %why, "a file of the compile cache is not used; compiling anew");
    }
}

/// Machine code, made runnable.
fn load(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the code is of our own compiler, through a pipe or from a file with our seal: see the module's argument. Both
    // callers have it from there and nowhere else.
    unsafe { Component::deserialize(engine, code) }
}

impl Kept {
    /// The code in a file; None if there is no such file.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let mut code = match read_ours(&self.dir.join(name)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let broken = || io::Error::other("its seal is not the one that belongs to it");
        let seal = code.split_off(code.len().checked_sub(SEAL_LEN).ok_or_else(broken)?);
        hmac::verify(&self.sealer(name), &code, &seal).map_err(|_| broken())?;
        Ok(Some(code))
    }

    fn write(&self, name: &str, mut code: Vec<u8>) -> io::Result<()> {
        let seal = hmac::sign(&self.sealer(name), &code);
        code.extend_from_slice(seal.as_ref());
        let path = self.dir.join(name);
        let unfinished = write_new(&self.dir, &code)?;
        fs::rename(&unfinished, path).inspect_err(|_| drop(fs::remove_file(&unfinished)))
    }

    /// What seals the file of this name.
    fn sealer(&self, name: &str) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&self.key, name.as_bytes()).as_ref())
    }
}

/// A folder that is ours alone, with its key.
fn prepare(dir: &Path) -> io::Result<hmac::Key> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    is_ours_alone(&fs::metadata(dir)?)?;
    let path = dir.join(KEY);
    if !path.try_exists()? {
        let mut key = [0; KEY_LEN];
        SystemRandom::new().fill(&mut key).map_err(|_| io::Error::other("the system has no random numbers"))?;
        let unfinished = write_new(dir, &key)?;
        // A link does not replace: of two hosts that begin at once, both take the key of the first.
        let linked = fs::hard_link(&unfinished, &path);
        fs::remove_file(&unfinished)?;
        linked.or_else(|error| if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })?;
    }
    let key = read_ours(&path).map_err(|error| io::Error::other(format!("its file `{KEY}`: {error}")))?;
    if key.len() != KEY_LEN {
        return Err(io::Error::other(format!("its file `{KEY}` is not {KEY_LEN} bytes; remove the folder")));
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &key))
}

/// What a file holds that is ours alone, and no link. One handle: what is checked is what is read.
fn read_ours(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe would keep its reader for ever.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut file: File = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    is_ours_alone(&found)?;
    if !found.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(found.len()).unwrap_or_default());
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Written by this user, and nobody else can write.
fn is_ours_alone(metadata: &Metadata) -> io::Result<()> {
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it belongs to another user"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(io::Error::other("others can write to it"));
    }
    Ok(())
}

/// A file of a name that nobody has, for this user alone.
fn write_new(dir: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    use std::io::Write as _;
    let path = dir.join(format!("{}.tmp", uuid::Uuid::new_v4()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(bytes).inspect_err(|_| drop(fs::remove_file(&path)))?;
    Ok(path)
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Kept").field(&self.dir).finish()
    }
}

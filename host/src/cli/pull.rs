//! `weir pull`: a component from a registry, as a file.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::build::unavailable;
use crate::cli::{Done, Error, PullArgs, say};

pub fn run(args: &PullArgs) -> Done {
    let artifact = args.registry.registry(false)?.pull(&args.reference).map_err(unavailable)?;
    let named = || PathBuf::from(format!("{}.wasm", args.reference.short_name()));
    let path = args.output.clone().unwrap_or_else(named);
    write(&path, &artifact.component)?;
    say(format_args!("pulled   {}", args.reference.pinned(&artifact.digest)));
    say(format_args!("wrote    {}  {} bytes", path.display(), artifact.component.len()));
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Done {
    fs::write(path, bytes).map_err(|error| Error::wrong(format_args!("{}: {error}", path.display())))
}

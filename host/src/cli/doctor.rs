//! `weir doctor`: what is missing on this machine to build nodes, and how to get it.

use crate::builder::{javascript, python};
use crate::cli::{DoctorArgs, Done, Error, say};
use crate::guest::Toolchain;

pub fn run(args: &DoctorArgs) -> Done {
    let found = [
        ("rust", Toolchain::find().map(|toolchain| toolchain.to_string()).map_err(|missing| missing.to_string())),
        ("python", python::found(&args.python)),
        ("javascript", javascript::found(&args.node)),
    ];
    let mut missing = Vec::new();
    for (language, found) in found {
        match found {
            Ok(with) => say(format_args!("{language} nodes: ready; {with}")),
            Err(problem) => missing.push(format!("{language} nodes cannot be built: {problem}")),
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(Error::Failed(anyhow::Error::msg(missing.join("\nerror: ")))) }
}

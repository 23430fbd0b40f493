//! `weir new`: writes a node that builds and runs as it is.

use crate::builder::scaffold::{self, ScaffoldError};
use crate::cli::{Done, Error, NewArgs, say};

pub fn run(args: &NewArgs) -> Done {
    let written = scaffold::write(&args.name, args.lang, &args.folder).map_err(|error| match error {
        ScaffoldError::Io { .. } => Error::Failed(error.into()),
        _ => Error::wrong(error),
    })?;
    for file in &written.files {
        say(format_args!("wrote    {}", file.display()));
    }
    if let Some(yaml) = &written.to_add {
        say(format_args!("\nadd to `nodes` of the flow file:\n\n{yaml}"));
    } else {
        say("");
    }
    let flow = written.flow.display();
    say(format_args!("then     weir build {flow}\n         weir run {flow}"));
    Ok(())
}

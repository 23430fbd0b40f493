//! `weir build`: compile the nodes that a flow has as source, and lock them.

use std::time::Instant;

use crate::assembly;
use crate::builder::{self, BuildError};
use crate::cli::{Done, Error, FlowArgs, say, warn};
use crate::folder::Folder;

pub fn run(args: &FlowArgs) -> Done {
    let folder = Folder::open(&args.flow).map_err(Error::wrong)?;
    let (flow, warnings) = assembly::read_flow(&folder).map_err(Error::wrong)?;
    warnings.iter().for_each(warn);
    let paths = assembly::component_paths(&flow);
    let began = Instant::now();
    let lock = builder::build(&folder, &paths, |path| say(format_args!("building {path}"))).map_err(explain)?;
    for (path, locked) in &lock.components {
        say(format_args!("built    {path}  {}", &locked.digest[..12]));
    }
    let count = lock.components.len();
    say(format_args!("{count} components in {:.1} s", began.elapsed().as_secs_f32()));
    Ok(())
}

fn explain(error: BuildError) -> Error {
    match error {
        BuildError::Folder(_) | BuildError::UnknownSource(_) | BuildError::NoComponent(_) => Error::wrong(error),
        error => Error::Failed(error.into()),
    }
}

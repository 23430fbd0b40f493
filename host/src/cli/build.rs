//! `weir build`: compile the nodes that a flow has as source, and lock them.

use std::time::Instant;

use crate::assembly;
use crate::builder::{self, BuildError};
use crate::cli::{BuildArgs, Done, Error, say};
use crate::config;
use crate::folder::Folder;

pub fn run(args: &BuildArgs) -> Done {
    let folder = Folder::open(&args.flow).map_err(Error::wrong)?;
    let draft = assembly::read(&folder, &config::variable).map_err(Error::wrong)?;
    // What is wrong beside the components is for `weir check` to tell: what can be built is built.
    let paths = assembly::component_paths(draft.flow());
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

//! `weir inspect`: what a component is, what it takes and what it asks for.

use std::fs::File;
use std::io::Read as _;

use anyhow::Context as _;
use tokio::runtime::Builder;

use crate::cli::{Done, Error, InspectArgs, say, settings, workshop};
use crate::config::GivenArgs;

pub fn run(args: &InspectArgs) -> Done {
    let shown = args.file.display().to_string();
    let workshop = workshop(settings(&GivenArgs::default())?.flows.components)?;
    let failed = |error| Error::wrong(format_args!("{shown}: {error}"));
    // One byte more than it may have is enough to be told that it has too many.
    let file = File::open(&args.file).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(workshop.max_size() as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    let component = workshop.load(&shown, &bytes).map_err(Error::wrong)?;
    let runtime = Builder::new_current_thread().enable_all().build().context("no runtime")?;
    let description = runtime.block_on(component.describe()).map_err(Error::wrong)?;
    say(description);
    say(format_args!("digest  {}", component.digest));
    component.imports.iter().for_each(|import| say(format_args!("imports {import}")));
    Ok(())
}

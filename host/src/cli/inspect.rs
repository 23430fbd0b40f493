//! `weir inspect`: what a component is, what it takes and what it asks for.

use std::fs;

use anyhow::Context as _;
use tokio::runtime::Builder;

use crate::cli::{Done, Error, InspectArgs, say, settings, workshop};
use crate::config::GivenArgs;

pub fn run(args: &InspectArgs) -> Done {
    let shown = args.file.display().to_string();
    let bytes = fs::read(&args.file).map_err(|error| Error::wrong(format_args!("{shown}: {error}")))?;
    let workshop = workshop(settings(&GivenArgs::default())?.flows.components)?;
    let component = workshop.load(&shown, &bytes).map_err(Error::wrong)?;
    let runtime = Builder::new_current_thread().enable_all().build().context("no runtime")?;
    let description = runtime.block_on(component.describe()).map_err(Error::wrong)?;
    say(description);
    say(format_args!("digest  {}", component.digest));
    component.imports.iter().for_each(|import| say(format_args!("imports {import}")));
    Ok(())
}

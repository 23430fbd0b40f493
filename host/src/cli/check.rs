//! `weir check`: every problem of a flow, its components, connections and grants.

use crate::assembly;
use crate::cli::{CheckArgs, Done, Error, say, warn};
use crate::config;
use crate::folder::Folder;

pub fn run(args: &CheckArgs) -> Done {
    let folder = Folder::open(&args.flow.flow).map_err(Error::wrong)?;
    let (flow, warnings) = assembly::read_flow(&folder).map_err(Error::wrong)?;
    warnings.iter().for_each(warn);
    let environment = config::Environment::read(&config::variable).map_err(Error::Wrong)?;
    let (name, count) = (flow.id().clone(), flow.nodes().len());
    let parts = assembly::prepare(&folder, flow, &args.connections.paths, environment.components, &config::variable)
        .map_err(|problems| Error::Wrong(problems.iter().map(ToString::to_string).collect()))?;
    parts.warnings.iter().for_each(warn);
    say(format_args!("{name}: {count} nodes, no problems"));
    Ok(())
}

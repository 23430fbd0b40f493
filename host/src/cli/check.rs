//! `weir check`: every problem of a flow, its components, connections and grants.

use crate::cli::{CheckArgs, Done, Error, load, say};
use crate::config::{self, Environment};

pub fn run(args: &CheckArgs) -> Done {
    let components = Environment::read(&config::variable).map_err(Error::Wrong)?.components;
    let parts = load(&args.flow.flow, &args.connections, components)?;
    say(format_args!("{}: {} nodes, no problems", parts.flow.id(), parts.flow.nodes().len()));
    Ok(())
}

//! `weir import`: what becomes of a prompt flow folder here: what runs as it is, what needs a grant, what cannot run.

use serde_json::json;

use crate::assembly;
use crate::builder::survey::{self, Runs, Survey, Wanted};
use crate::capability::http;
use crate::cli::{Done, Error, ImportArgs, build, say};
use crate::config;
use crate::flow::Draft;
use crate::flow::problem::Problem;
use crate::folder::Folder;

pub fn run(args: &ImportArgs) -> Done {
    let folder = Folder::open(&args.build.flow).map_err(Error::wrong)?;
    let read = || assembly::read(&folder, &config::variable).map_err(Error::wrong);
    let draft = read()?;
    let flow = draft.flow();
    let has_python = !assembly::sources(flow).python.is_empty();
    let mut survey = match has_python {
        true => survey::survey(&folder, flow, &args.build.tools(folder.root()).python, &http::names)
            .map_err(build::explain)?,
        false => Survey::default(),
    };
    if let Err(problems) = read()?.finish() {
        let told = |problem: &Problem| {
            let help = problem.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
            let place = problem.file().map(|file| format!("{file}:{}:{}: ", problem.line, problem.column));
            format!("{}{}{help}", place.unwrap_or_default(), problem.message)
        };
        survey.cannot.splice(0..0, problems.problems().iter().map(told));
    }
    if args.json {
        say(json!({"flow": flow.id().as_str(), "runs": survey.runs(), "found": survey}));
    } else {
        tell(&draft, &survey);
    }
    match survey.runs() {
        Runs::AsItIs => Ok(()),
        Runs::WithGrants => Err(Error::Left),
        Runs::Not => Err(Error::Told),
    }
}

/// For a person, with what to write where.
fn tell(draft: &Draft, survey: &Survey) {
    let (flow, sound) = (draft.flow(), draft.sound_nodes());
    let wants = |id: &str| survey.grants.iter().find(|wanted| wanted.node == id);
    say(format_args!("{}: {} nodes", flow.id(), flow.nodes().len()));
    for (index, node) in flow.nodes() {
        let id = node.id.as_str();
        let becomes = match wants(id) {
            _ if !sound.contains(&index) => "cannot run",
            Some(_) => "needs a grant",
            None => "runs as it is",
        };
        let connections = node.kind.connections().collect::<Vec<_>>().join(", ");
        let connection = if connections.is_empty() { String::new() } else { format!("  connection {connections}") };
        say(format_args!("  {id:<20} {:<10} {becomes}{connection}", node.kind.name()));
    }
    if !survey.packages.is_empty() {
        say(format_args!("\npackages: {}", survey.packages.join(", ")));
    }
    for Wanted { node, because, notes, .. } in &survey.grants {
        say(format_args!("\nnode {node:?}:"));
        because.iter().chain(notes).for_each(|line| say(format_args!("  {line}")));
        if let Some(yaml) = wants(node).and_then(Wanted::yaml) {
            say(format_args!("  if it is to, add to the node:\n    {yaml}"));
        }
    }
    list("runs, but not as everywhere", &survey.differs);
    list("cannot run", &survey.cannot);
    let verdict = match survey.runs() {
        Runs::AsItIs => "It runs as it is: `weir build`, then `weir serve`.",
        Runs::WithGrants => "It runs once the grants above are in the flow file.",
        Runs::Not => "It does not run as it is.",
    };
    say(format_args!("\n{verdict}"));
}

fn list(title: &str, lines: &[String]) {
    if !lines.is_empty() {
        say(format_args!("\n{title}:"));
        lines.iter().for_each(|line| say(format_args!("  {line}")));
    }
}

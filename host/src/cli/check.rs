//! `weir check`: every problem of a flow, its components, connections and grants.

use serde_json::{Value, json};

use crate::assembly::{Fault, Parts};
use crate::cli::{CheckArgs, Done, Error, prepare, say, settings, warn, wrong};
use crate::flow::problem::Warning;

pub fn run(args: &CheckArgs) -> Done {
    let checked = prepare(&args.flow, &settings(&args.flow.given)?)?;
    if args.json {
        say(report(&checked));
        return checked.map(drop).map_err(|_| Error::Told);
    }
    let parts = checked.map_err(wrong)?;
    parts.warnings.iter().for_each(warn);
    let (nodes, warnings) = (parts.flow.nodes().len(), parts.warnings.len());
    say(format_args!("{}: {nodes} nodes, no problems, {warnings} warnings", parts.flow.id()));
    Ok(())
}

/// For programs: `{"flow": …, "ok": …, "findings": […]}`, where a finding is as [`Problems::to_json`] has it.
///
/// [`Problems::to_json`]: crate::flow::problem::Problems::to_json
fn report(checked: &Result<Parts, Fault>) -> Value {
    match checked {
        Ok(parts) => {
            let warnings: Vec<_> = parts.warnings.iter().map(Warning::to_json).collect();
            json!({"flow": parts.flow.id().as_str(), "ok": true, "findings": warnings})
        }
        Err(Fault::Flow(problems)) => json!({"ok": false, "findings": problems.to_json()}),
        Err(fault) => {
            let finding = json!({"severity": "error", "code": "FlowNotReadable", "message": fault.to_string()});
            json!({"ok": false, "findings": [finding]})
        }
    }
}

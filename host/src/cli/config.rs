//! `weir config`: every setting with its value and where that comes from; then what is told to whom because of them, and how
//! that goes, if a host runs with them.

mod running;

use serde_json::json;

use crate::cli::serve::Asked;
use crate::cli::{ConfigArgs, Done, Error, say};
use crate::config::{Layers, Settings};
use crate::setting::{Found, Origin};

pub fn run(args: &ConfigArgs) -> Done {
    let asked = match Asked::read(&args.serve) {
        // Whoever names no flow may be in a folder that has none.
        Err(_) if args.serve.paths.is_empty() => Asked::without_flow(&args.serve)?,
        asked => asked?,
    };
    let process = asked.settings(&args.serve)?;
    process.found.iter().for_each(|found| tell(args, None, found));
    // Where several are served, each may have its own.
    let several = asked.served.deployments.iter().filter(|_| asked.served.deployments.len() > 1);
    for deployment in several {
        let settings = Settings::read(&Layers { deployment: deployment.told.as_ref(), ..asked.layers(&args.serve) })
            .map_err(Error::Wrong)?;
        let own = settings.found.iter().filter(|found| matches!(found.origin, Origin::Deployment { .. }));
        own.for_each(|found| tell(args, deployment.name.as_deref(), found));
    }
    tell_of_exporters(args, &process);
    Ok(())
}

fn tell_of_exporters(args: &ConfigArgs, settings: &Settings) {
    let lines = settings.telemetry.describe();
    let running = running::exporters(settings.admin_listen);
    if args.json {
        lines.iter().for_each(|line| say(json!({"told": line})));
        running.iter().flatten().for_each(|status| say(json!({"running": status})));
        return;
    }
    say("");
    lines.iter().for_each(say);
    let Some(running) = running else {
        return say(format_args!("no host answers at {}", settings.admin_listen));
    };
    say(format_args!("the host at {}:", settings.admin_listen));
    running.iter().for_each(|status| say(format_args!("  {}", running::line(status))));
}

fn tell(args: &ConfigArgs, deployment: Option<&str>, found: &Found) {
    let Found { setting, origin, .. } = found;
    let value = found.shown();
    if args.json {
        let mut line = json!({"name": setting.variable, "value": value, "origin": origin.to_string()});
        if let Some(deployment) = deployment {
            line["deployment"] = deployment.into();
        }
        say(line);
        return;
    }
    let name = deployment.map_or_else(|| setting.variable.to_owned(), |name| format!("{name}: {}", setting.variable));
    let value = value.map_or_else(|| format!("({})", setting.absent.replace('`', "")), str::to_owned);
    say(format_args!("{name:<40} {value:<32} {origin}"));
}

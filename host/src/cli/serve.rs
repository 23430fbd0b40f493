//! `weir serve`: the story of a host, from its settings to its last flushed span.

use std::io::{IsTerminal as _, stdout};
use std::sync::Arc;

use anyhow::Context as _;

use crate::assembly::endpoint::{Prepared, Unserved};
use crate::assembly::served::{Served, ServedError};
use crate::cli::process::{Process, StopSignals, start_log};
use crate::cli::{Done, Error, say, warn, workshop, wrong};
use crate::config::{self, File, Flag, Layers, ServeArgs, Settings, Told};
use crate::server::token::FeedbackTokens;
use crate::server::{App, Server};
use crate::telemetry::{Telemetry, Terminal};

pub fn run(args: &ServeArgs) -> Done {
    let Asked { served, flags, file, told } = Asked::read(args)?;
    let layers = layers(args, &flags, file.as_ref());
    let settings = Settings::read(&Layers { deployment: told.as_ref(), ..layers }).map_err(Error::Wrong)?;
    start_log(&settings.log)?;

    let workshop = workshop(settings.flows.components)?;
    let prepared = Prepared::new(served, &args.given, layers, &workshop).map_err(unserved)?;
    prepared.warnings.iter().for_each(warn);

    let tokens = FeedbackTokens::open(&settings.server.tokens, settings.telemetry.data_dir.as_deref());
    let tokens = tokens.context("feedback tokens cannot be made")?;
    let terminal = Some(Terminal { out: Box::new(stdout()), color: stdout().is_terminal() });
    let telemetry = crate::telemetry::Config { terminal, ..settings.telemetry };
    let telemetry = Telemetry::start(telemetry).context("telemetry cannot be started")?;
    telemetry.describe().iter().for_each(say);
    say(tokens.describe());

    let process = Process::start(telemetry.clone())?;
    let endpoint = prepared.endpoint(&telemetry, |parts, telemetry| process.runner_telling(parts, telemetry));
    let endpoint = endpoint.context("there is nothing to serve")?;
    let app = Arc::new(App::new(endpoint, telemetry, settings.server, tokens, settings.build_info));
    Ok(process.run(async {
        let mut signals = StopSignals::listen()?;
        let server = Server::bind(settings.listen, settings.admin_listen, app).await?;
        say(format_args!("admin on http://{}", server.admin_addr()?));
        say(format_args!("listening on http://{}", server.public_addr()?));
        server.serve(async move { signals.next().await }).await;
        anyhow::Ok(())
    })?)
}

/// What the command line asks for, before any of it is understood as settings.
pub(super) struct Asked {
    pub(super) served: Served,
    pub(super) flags: Vec<Flag>,
    pub(super) file: Option<File>,
    /// What deployment files say of the process.
    pub(super) told: Option<Told>,
}

impl Asked {
    /// # Errors
    /// All that is wrong, with what is to be served and with the settings.
    pub(super) fn read(args: &ServeArgs) -> Result<Self, Error> {
        let keys = Settings::keys();
        let file = args.settings.config.as_deref().map(|path| File::read(path, &keys)).transpose();
        let served = Served::read(args, &config::variable);
        let (file, served) = match (file, served) {
            (Ok(file), Ok(served)) => (file, served),
            (file, served) => {
                let flags = args.flags();
                let settings = Settings::read(&layers(args, &flags, file.as_ref().ok().and_then(Option::as_ref)));
                let of_file = file.err().into_iter().map(file_error);
                let of_served = served.err().into_iter().flatten().map(served_error);
                return Err(Error::Wrong(
                    of_file.chain(of_served).chain(settings.err().into_iter().flatten()).collect(),
                ));
            }
        };
        let told = served.of_process().map_err(Error::wrong)?;
        Ok(Self { told, served, flags: args.flags(), file })
    }
}

/// The layers of a process. A deployment's own come below them.
pub(super) fn layers<'a>(args: &'a ServeArgs, flags: &'a [Flag], file: Option<&'a File>) -> Layers<'a> {
    let variables = &args.given.environment_variables;
    Layers { variables, flags, environment: &config::variable, file, deployment: None }
}

fn file_error(error: config::FileError) -> String {
    match error {
        config::FileError::Wrong(problems) => format!("{:?}", miette::Report::new(problems)),
        error @ config::FileError::Unreadable { .. } => error.to_string(),
    }
}

fn served_error(error: ServedError) -> String {
    match error {
        ServedError::Wrong(problems) => format!("{:?}", miette::Report::new(problems)),
        error @ (ServedError::Folder(_) | ServedError::Unfit(_)) => error.to_string(),
    }
}

/// All that is wrong with the deployments, of which one may be the machine's fault.
fn unserved(faults: Vec<Unserved>) -> Error {
    let mut all = Vec::new();
    for fault in faults {
        match fault {
            Unserved::Settings(problems) => all.extend(problems),
            Unserved::Flow(fault) => match wrong(fault) {
                Error::Wrong(problems) => all.extend(problems),
                failed @ (Error::Told | Error::Failed(_)) => return failed,
            },
        }
    }
    Error::Wrong(all)
}

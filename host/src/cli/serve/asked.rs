//! What the command line of `weir serve` asks for, before any of it is understood as settings.

use std::path::PathBuf;

use crate::assembly::served::{Served, ServedError};
use crate::cli::Error;
use crate::config::{self, File, FileError, Flag, Layers, ServeArgs, Settings, Told};

/// All that flags and files say.
pub(in crate::cli) struct Asked {
    pub(in crate::cli) served: Served,
    flags: Vec<Flag>,
    file: Option<File>,
    /// What deployment files say of the process.
    told: Option<Told>,
}

impl Asked {
    /// # Errors
    /// All that is wrong, with what is to be served and with the settings.
    pub(in crate::cli) fn read(args: &ServeArgs) -> Result<Self, Error> {
        let keys = Settings::keys();
        let file = args.settings.config.as_deref().map(|path| File::read(path, &keys)).transpose();
        let served = Served::read(args, &config::variable);
        let flags = args.flags();
        match (file, served) {
            (Ok(file), Ok(served)) => {
                let told = served.of_process().map_err(Error::wrong)?;
                Ok(Self { served, flags, file, told })
            }
            (file, served) => {
                let settings = Settings::read(&layers(args, &flags, file.as_ref().ok().and_then(Option::as_ref)));
                let of_file = file.err().into_iter().map(file_error);
                let of_served = served.err().into_iter().flatten().map(served_error);
                let of_settings = settings.err().into_iter().flatten();
                Err(Error::Wrong(of_file.chain(of_served).chain(of_settings).collect()))
            }
        }
    }

    /// The settings alone.
    ///
    /// # Errors
    /// If the configuration file is wrong.
    pub(in crate::cli) fn without_flow(args: &ServeArgs) -> Result<Self, Error> {
        let file = args.settings.config.as_deref().map(|path| File::read(path, &Settings::keys())).transpose();
        let file = file.map_err(|error| Error::wrong(file_error(error)))?;
        Ok(Self { served: Served::default(), flags: args.flags(), file, told: None })
    }

    /// The files that say what is served and how, but for the flows themselves.
    pub(in crate::cli) fn files(&self, args: &ServeArgs) -> Vec<PathBuf> {
        let deployments = self.served.deployments.iter().filter_map(|named| Some(named.told.as_ref()?.path.clone()));
        let named = args.paths.iter().filter(|path| path.is_file()).cloned();
        let mut files: Vec<_> = deployments.chain(named).chain(args.settings.config.clone()).collect();
        files.sort();
        files.dedup();
        files
    }

    /// The layers of settings that all deployments have in common.
    pub(in crate::cli) fn layers<'a>(&'a self, args: &'a ServeArgs) -> Layers<'a> {
        layers(args, &self.flags, self.file.as_ref())
    }

    /// The settings of the process.
    ///
    /// # Errors
    /// All that cannot be understood.
    pub(in crate::cli) fn settings(&self, args: &ServeArgs) -> Result<Settings, Error> {
        Settings::read(&Layers { deployment: self.told.as_ref(), ..self.layers(args) }).map_err(Error::Wrong)
    }
}

fn layers<'a>(args: &'a ServeArgs, flags: &'a [Flag], file: Option<&'a File>) -> Layers<'a> {
    let variables = &args.given.environment_variables;
    Layers { variables, flags, environment: &config::variable, file, deployment: None }
}

fn file_error(error: FileError) -> String {
    match error {
        FileError::Wrong(problems) => format!("{:?}", miette::Report::new(problems)),
        error @ FileError::Unreadable { .. } => error.to_string(),
    }
}

fn served_error(error: ServedError) -> String {
    match error {
        ServedError::Wrong(problems) => format!("{:?}", miette::Report::new(problems)),
        error @ (ServedError::Folder(_) | ServedError::Unfit(_)) => error.to_string(),
    }
}

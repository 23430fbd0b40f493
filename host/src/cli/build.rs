//! `weir build`: compile the nodes that a flow has as source, and lock them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::assembly;
use crate::builder::{self, BuildError, Tools, includes, javascript, python};
use crate::cli::{BuildArgs, Done, Error, RegistryArgs, say, settings, warn, wrong};
use crate::config::{self, GivenArgs};
use crate::folder::Folder;
use crate::registry::{self, Registry, RegistryError};

pub fn run(args: &BuildArgs) -> Done {
    let folder = Folder::open(&args.flow).map_err(Error::wrong)?;
    let draft = assembly::read(&folder, &config::variable).map_err(Error::wrong)?;
    let hidden = includes::copy(&folder, draft.flow().additional_includes()).map_err(Error::wrong)?;
    hidden.iter().for_each(warn);
    // Some of the nodes may be made of what was just included.
    let draft = assembly::read(&folder, &config::variable).map_err(Error::wrong)?;
    let (flow, warnings) = draft.finish().map_err(|problems| wrong(problems.into()))?;
    warnings.iter().for_each(warn);
    let tools = args.tools(folder.root());
    let began = Instant::now();
    let registry = args.registry.registry(args.update)?;
    let sources = assembly::sources(&flow);
    let lock = builder::build(&folder, &sources, &tools, &registry, |line| say(line)).map_err(explain)?;
    for (path, locked) in &lock.components {
        say(format_args!("built    {path}  {}", &locked.digest[..12]));
    }
    let count = lock.components.values().map(|locked| &locked.digest).collect::<HashSet<_>>().len();
    say(format_args!("{count} components in {:.1} s", began.elapsed().as_secs_f32()));
    Ok(())
}

impl RegistryArgs {
    /// What asks registries for components of at most the size that the host takes.
    pub(super) fn registry(&self, update: bool) -> Result<Registry, Error> {
        let max_size = settings(&GivenArgs::default())?.flows.components.limits.caps.size;
        let folder = config::variable("DOCKER_CONFIG").map(PathBuf::from);
        let folder = folder.or_else(|| Some(PathBuf::from(config::variable("HOME")?).join(".docker")));
        let docker = folder.map(|folder| folder.join("config.json"));
        Ok(Registry::new(registry::Config { docker, plain_http: self.plain_http.clone(), update, max_size }))
    }
}

/// Why a registry was of no use, and by whose fault.
pub(super) fn unavailable(error: RegistryError) -> Error {
    match error {
        RegistryError::Failed { .. } | RegistryError::Runtime(_) | RegistryError::Changed { .. } => {
            Error::Failed(error.into())
        }
        RegistryError::Reference { .. }
        | RegistryError::NoComponent { .. }
        | RegistryError::TooLarge { .. }
        | RegistryError::Credentials { .. }
        | RegistryError::Unauthorized { .. }
        | RegistryError::NotFound { .. } => Error::wrong(error),
    }
}

impl BuildArgs {
    /// What builds the nodes of the flow in this folder.
    pub(super) fn tools(&self, root: &Path) -> Tools {
        let cache = config::cache_dir().unwrap_or_else(|| root.join(".weir"));
        Tools {
            python: python::Tools {
                python: self.python.clone(),
                environment: cache.join("python"),
                wheels: self.wheels.clone(),
            },
            javascript: javascript::Tools {
                node: self.node.clone(),
                environment: cache.join("javascript"),
                npm_cache: self.npm_cache.clone(),
            },
            rust: cache.join("rust"),
        }
    }
}

pub(super) fn explain(error: BuildError) -> Error {
    match error {
        BuildError::Folder(_)
        | BuildError::UnknownSource(_)
        | BuildError::NoComponent(_)
        | BuildError::Python(_)
        | BuildError::JavaScript(_) => Error::wrong(error),
        BuildError::Registry(error) => unavailable(error),
        error => Error::Failed(error.into()),
    }
}

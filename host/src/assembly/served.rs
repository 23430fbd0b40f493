//! What a command line asks to be served: a flow folder, a deployment, or an endpoint with its deployments. Files are
//! read here; what they mean, ../deployment.rs knows.

mod surroundings;

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::{ServeArgs, Told, documented};
use crate::deployment::{self, Deployment, Document, Endpoint, ModelReference};
use crate::flow::problem::{Problems, Warning, listed};
use crate::folder::{Folder, FolderError};
use crate::setting::{Given, Origin};
use crate::telemetry::{APP_INSIGHTS_ENABLED as ENABLED, APP_INSIGHTS_LINKED as LINKED};

use surroundings::{names, usual};

/// Everything that is to be served.
#[derive(Debug, Default)]
pub struct Served {
    /// Name of the endpoint.
    pub endpoint: Option<String>,
    /// At least one, if it was read from arguments.
    pub deployments: Vec<Named>,
    pub warnings: Vec<Warning>,
}

/// A flow folder, and under which name and how it is served.
#[derive(Debug)]
pub struct Named {
    pub name: Option<String>,
    pub folder: Folder,
    /// Percent of the traffic.
    pub weight: u32,
    /// What its file says of settings and variables.
    pub told: Option<Told>,
}

/// Why it cannot be known what to serve.
#[derive(Debug, thiserror::Error)]
pub enum ServedError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Wrong(#[from] Problems),
    #[error("{0}")]
    Unfit(String),
}

/// A deployment and the file it was read from.
struct Read {
    path: PathBuf,
    deployment: Deployment,
}

impl Served {
    /// Reads what the arguments name; `env` is the environment of the process.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn read(args: &ServeArgs, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<ServedError>> {
        let paths = if args.paths.is_empty() { vec![usual(env)] } else { args.paths.clone() };
        let mut reading = Reading { models: &args.model, ..Reading::default() };
        paths.iter().for_each(|path| reading.path(path));
        reading.finish(env)
    }
}

impl Served {
    /// What the deployment files say of the process, which there is but one of.
    ///
    /// # Errors
    /// If two of them say different things of a setting that is not a flow's.
    pub fn of_process(&self) -> Result<Option<Told>, String> {
        let mut all = self.deployments.iter().filter_map(|named| named.told.as_ref());
        let Some(mut told) = all.next().cloned() else { return Ok(None) };
        if self.deployments.len() > 1 {
            // What is said of one flow does not hold for the others.
            told.settings.retain(|name, _| SHARED.contains(name));
        }
        for other in all {
            for (name, given) in other.settings.iter().filter(|(name, _)| SHARED.contains(name)) {
                match told.settings.get(name) {
                    Some(first) if first.text != given.text => {
                        let (place, first_place) = (given.origin.to_string(), first.origin.to_string());
                        return Err(unlike(&place, name, [&given.text, &first.text], &first_place));
                    }
                    Some(_) => {}
                    None => drop(told.settings.insert(name, given.clone())),
                }
            }
            for (name, value) in other.variables.iter().filter(|(name, _)| is_of_process(name)) {
                match told.variables.get(name) {
                    Some(first) if first != value => {
                        let place = format!("{}: environment variable {name}", other.path.display());
                        return Err(unlike(&place, name, [value, first], &told.path.display().to_string()));
                    }
                    Some(_) => {}
                    None => drop(told.variables.insert(name.clone(), value.clone())),
                }
            }
        }
        Ok(Some(told))
    }
}

/// Settings that deployment files have keys for, and that all deployments share.
const SHARED: [&str; 2] = [ENABLED.variable, LINKED.variable];

/// Variables of what all deployments share: telemetry, and settings of our own.
fn is_of_process(name: &str) -> bool {
    let prefixes = [
        "OTEL_",
        "WEIR_",
        "APPLICATIONINSIGHTS_",
        "APPINSIGHTS_",
        "AML_APP_INSIGHTS_",
        "PF_DISABLE_TRACING",
        "PF_SERVING_METRICS",
    ];
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// That two files say different things of what there is but one of. A secret is not shown.
fn unlike(place: &str, variable: &str, [value, first]: [&str; 2], first_place: &str) -> String {
    let is_secret = documented().iter().any(|found| found.setting.variable == variable && found.setting.secret);
    let said = match is_secret {
        true => format!("not the value that {first_place} has"),
        false => format!("{value:?}, but {first:?} in {first_place}"),
    };
    format!("{place}: {said}; there is one process: set {variable} in its environment, or alike")
}

#[derive(Default)]
struct Reading<'a> {
    models: &'a [(String, String)],
    folders: Vec<Folder>,
    endpoint: Option<(PathBuf, Endpoint)>,
    deployments: Vec<Read>,
    warnings: Vec<Warning>,
    errors: Vec<ServedError>,
}

impl Reading<'_> {
    fn path(&mut self, path: &Path) {
        if !path.is_file() || Folder::is_flow_file(path) {
            match Folder::open(path) {
                Ok(folder) => self.folders.push(folder),
                Err(error) => self.errors.push(error.into()),
            }
            return;
        }
        match self.document(path) {
            Some(Document::Deployment(deployment)) => {
                self.deployments.push(Read { path: path.to_owned(), deployment });
            }
            Some(Document::Endpoint(endpoint)) => match &self.endpoint {
                None => self.endpoint = Some((path.to_owned(), endpoint)),
                Some((first, _)) => {
                    let both =
                        format!("{} and {} are both endpoints; a host serves one", first.display(), path.display());
                    self.errors.push(ServedError::Unfit(both));
                }
            },
            Some(Document::Model(_) | Document::Other) => {
                let what = "neither a flow nor a deployment nor an endpoint";
                self.errors.push(ServedError::Unfit(format!("{}: {what}", path.display())));
            }
            None => {}
        }
    }

    fn document(&mut self, path: &Path) -> Option<Document> {
        match read(path) {
            Ok((document, warnings)) => {
                self.warnings.extend(warnings);
                Some(document)
            }
            Err(error) => {
                self.errors.push(error);
                None
            }
        }
    }

    fn finish(mut self, env: &dyn Fn(&str) -> Option<String>) -> Result<Served, Vec<ServedError>> {
        if self.deployments.is_empty()
            && let Some((path, endpoint)) = self.endpoint.clone()
        {
            self.beside(&path, &endpoint.name);
        }
        let of_files = !self.deployments.is_empty() || self.endpoint.is_some();
        if of_files && !self.folders.is_empty() {
            let mixed = "a flow folder cannot be served beside deployments; write a deployment file for it";
            self.errors.push(ServedError::Unfit(mixed.to_owned()));
        }
        if self.folders.len() > 1 {
            let many = "several flows are served as deployments of an endpoint; write a file for each";
            self.errors.push(ServedError::Unfit(many.to_owned()));
        }
        let served = if of_files { self.endpoint() } else { self.folder(env) };
        if self.errors.is_empty() { Ok(served) } else { Err(self.errors) }
    }

    /// The deployment files that lie beside an endpoint's, if no others are named.
    fn beside(&mut self, path: &Path, endpoint: &str) {
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut files: Vec<_> =
            fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.sort();
        for file in files.into_iter().filter(|file| file != path && is_yaml(file)) {
            // A file that is none of ours may hold anything.
            if let Ok((Document::Deployment(deployment), warnings)) = read(&file)
                && deployment.endpoint.as_deref() == Some(endpoint)
            {
                self.warnings.extend(warnings);
                self.deployments.push(Read { path: file, deployment });
            }
        }
        if self.deployments.is_empty() {
            let message = format!(
                "{}: no deployment file beside it has `endpoint_name: {endpoint}`; name them after the endpoint's",
                path.display()
            );
            self.errors.push(ServedError::Unfit(message));
        }
    }

    /// One folder, under the names that Azure ML's variables give it.
    fn folder(&mut self, env: &dyn Fn(&str) -> Option<String>) -> Served {
        let (endpoint, name) = names(env);
        let named = |folder| Named { name, folder, weight: 100, told: None };
        let deployments = self.folders.pop().map(named).into_iter().collect();
        Served { endpoint, deployments, warnings: Vec::new() }
    }

    fn endpoint(&mut self) -> Served {
        let read = std::mem::take(&mut self.deployments);
        let names: Vec<_> = read.iter().map(|read| read.deployment.name.clone()).collect();
        self.fit(&read, &names);
        let traffic = self.endpoint.as_ref().map(|(_, endpoint)| endpoint.traffic.clone());
        let single = read.len() == 1;
        let endpoint = self.endpoint.as_ref().map(|(_, endpoint)| endpoint.name.clone());
        let endpoint = endpoint.or_else(|| read.first()?.deployment.endpoint.clone());
        let linked = self.linked();
        let mut deployments = Vec::new();
        for Read { path, deployment } in read {
            let weight = match &traffic {
                Some(traffic) => traffic.get(&deployment.name).copied().unwrap_or(0),
                None if single => 100,
                None => 0,
            };
            if let Some(folder) = self.model(&path, &deployment.model) {
                let Deployment { name, settings, variables, .. } = deployment;
                let at = |key| Origin::Deployment { path: path.clone(), key };
                let settings = settings.into_iter().map(|(name, (text, key))| (name, Given { text, origin: at(key) }));
                let settings = settings.chain(linked.clone()).collect();
                let told = Some(Told { path, settings, variables });
                deployments.push(Named { name: Some(name), folder, weight, told });
            }
        }
        Served { endpoint, deployments, warnings: std::mem::take(&mut self.warnings) }
    }

    /// The resource of Application Insights that the endpoint's file links to it, as a setting of its deployments.
    fn linked(&self) -> Option<(&'static str, Given)> {
        let (path, endpoint) = self.endpoint.as_ref()?;
        let origin = Origin::Deployment { path: path.clone(), key: format!("properties.{}", deployment::LINKED) };
        Some((LINKED.variable, Given { text: endpoint.linked.as_ref()?.expose().to_owned(), origin }))
    }

    /// Whether files and endpoint go together.
    fn fit(&mut self, read: &[Read], names: &[String]) {
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                self.errors.push(ServedError::Unfit(format!("two deployments have the name {name:?}")));
            }
        }
        let Some((path, endpoint)) = &self.endpoint else {
            if read.len() > 1 {
                let message = "several deployments need an endpoint file, whose `traffic` says which gets how much";
                self.errors.push(ServedError::Unfit(message.to_owned()));
            }
            return;
        };
        for Read { path, deployment } in read {
            if let Some(other) = deployment.endpoint.as_ref().filter(|other| **other != endpoint.name) {
                let message =
                    format!("{}: belongs to the endpoint {other:?}, not to {:?}", path.display(), endpoint.name);
                self.errors.push(ServedError::Unfit(message));
            }
        }
        for name in endpoint.traffic.keys().filter(|name| !names.contains(name)) {
            let known = listed(names.iter().map(String::as_str));
            let message =
                format!("{}: traffic for {name:?}, which is no deployment; they are: {known}", path.display());
            self.errors.push(ServedError::Unfit(message));
        }
    }

    /// The folder of a deployment's flow.
    fn model(&mut self, file: &Path, model: &ModelReference) -> Option<Folder> {
        let beside = file.parent().unwrap_or(Path::new(""));
        let path = match model {
            ModelReference::Path(path) => beside.join(path),
            ModelReference::Registered(name) => {
                let given = self.models.iter().find(|(given, _)| given == name).map(|(_, path)| PathBuf::from(path));
                match given.or_else(|| model_file(beside, name)) {
                    Some(path) => path,
                    None => {
                        let message = format!(
                            "{}: model {name:?} is registered in a workspace; give its folder by --model {name}=DIR, or lay \
                             its model.yaml beside the file",
                            file.display()
                        );
                        self.errors.push(ServedError::Unfit(message));
                        return None;
                    }
                }
            }
        };
        Folder::open(&path).map_err(|error| self.errors.push(error.into())).ok()
    }
}

/// The path that a model file of this name, beside the deployment's, leads to.
fn model_file(folder: &Path, name: &str) -> Option<PathBuf> {
    ["model.yaml", "model.yml"].into_iter().find_map(|file| match read(&folder.join(file)) {
        Ok((Document::Model(model), _)) if model.name == name => Some(folder.join(model.path)),
        _ => None,
    })
}

fn read(path: &Path) -> Result<(Document, Vec<Warning>), ServedError> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| ServedError::Unfit(format!("{shown}: {error}")))?;
    Ok(Document::parse(&shown, &text)?)
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

//! Makes what is to be served: every deployment's flow is read and becomes a runner, all faults of all of them at once.

use std::sync::Arc;

use crate::assembly::served::{Named, Served};
use crate::assembly::{self, Fault, Parts, Settings};
use crate::config::{self, GivenArgs, Layers};
use crate::flow::problem::Warning;
use crate::folder::Folder;
use crate::images::Images;
use crate::sandbox::Threads;
use crate::sandbox::component::Workshop;
use crate::server::admission::Admission;
use crate::server::endpoint::{Deployment, Endpoint};
use crate::server::swagger::{self, Document, Facts};
use crate::telemetry::Telemetry;

/// A deployment whose flow can run.
#[derive(Debug)]
struct Ready {
    name: Option<String>,
    weight: u32,
    parts: Parts,
    settings: config::Settings,
}

/// All deployments of an endpoint, ready to become runners.
#[derive(Debug)]
pub struct Prepared {
    endpoint: Option<String>,
    deployments: Vec<Ready>,
    pub warnings: Vec<Warning>,
}

/// Why a deployment cannot be served.
#[derive(Debug)]
pub enum Unserved {
    Settings(Vec<String>),
    Flow(Fault),
}

impl Prepared {
    /// Reads the flows of all deployments. May compile for seconds.
    ///
    /// # Errors
    /// What is wrong with each of them.
    pub fn new(
        served: &Served,
        given: &GivenArgs,
        layers: Layers<'_>,
        workshop: &Arc<Workshop>,
    ) -> Result<Self, Vec<Unserved>> {
        let Served { endpoint, deployments, warnings } = served;
        let mut warnings = warnings.clone();
        let (mut ready, mut faults) = (Vec::new(), Vec::new());
        for deployment in deployments {
            match prepare(deployment, given, layers, workshop) {
                Ok(mut deployment) => {
                    warnings.append(&mut deployment.parts.warnings);
                    ready.push(deployment);
                }
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() {
            Ok(Self { endpoint: endpoint.clone(), deployments: ready, warnings })
        } else {
            Err(faults)
        }
    }

    /// What serves requests, on these threads. None if there are no deployments.
    pub fn endpoint(self, telemetry: &Telemetry, keys_required: bool, threads: &Threads) -> Option<Endpoint> {
        let Self { endpoint, deployments, .. } = self;
        let names: Vec<String> = deployments.iter().filter_map(|ready| ready.name.clone()).collect();
        let made = deployments.into_iter().map(|Ready { name, weight, parts, settings }| {
            let facts = Facts { example: example(&parts.folder), keys_required, deployments: names.clone() };
            let deployment = Deployment {
                images: Images::new(settings.images, parts.folder.clone()),
                admission: Admission::new(settings.server.admission),
                document: Document::new(&parts.flow, &facts),
                runner: parts.runner(telemetry.of_deployment(endpoint.as_deref(), name.as_deref()), threads.clone()),
                name,
            };
            (deployment, weight)
        });
        let made = made.collect();
        Endpoint::weighted(endpoint, made)
    }
}

/// The first sample of the flow folder, if it has any.
fn example(folder: &Folder) -> Option<serde_json::Value> {
    let path = "samples.json";
    folder.resolve(path).ok()?;
    let sample = folder.read_text(path).map_err(|error| error.to_string()).and_then(|text| swagger::sample(&text));
    sample.unwrap_or_else(|problem| {
        tracing::warn!(%problem, "the document of the flow shows no example");
        None
    })
}

fn prepare(
    Named { name, folder, weight, told }: &Named,
    given: &GivenArgs,
    layers: Layers<'_>,
    workshop: &Arc<Workshop>,
) -> Result<Ready, Unserved> {
    let layers = Layers { deployment: told.as_ref(), ..layers };
    let settings = config::Settings::read(&layers).map_err(Unserved::Settings)?;
    let init = given.init.iter().cloned().collect();
    let flow = Settings { init: &init, flows: &settings.flows, env: &|name| layers.variable(name) };
    let parts = assembly::prepare(folder, workshop, &flow).map_err(Unserved::Flow)?;
    Ok(Ready { name: name.clone(), weight: *weight, parts, settings })
}

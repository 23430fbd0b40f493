//! Lets telemetry ask what the host is doing at this moment. Those who know do not know telemetry, and the other way round.

use std::sync::{Arc, Weak};

use crate::capability::upstream::breaker::State;
use crate::cli::masked;
use crate::sandbox::component::Workshop;
use crate::sandbox::engine::PoolUse;
use crate::server::App;
use crate::server::listener::Budget;
use crate::telemetry::{Circuit, Compiled, Connections, Listener, Memory, Pool, Queue, Slots, Telemetry};

/// The sandbox.
pub(super) fn workshop(telemetry: &Telemetry, workshop: &Arc<Workshop>) {
    let known = Arc::downgrade(workshop);
    telemetry.watch_pool(move || {
        let pool = known.upgrade()?.pool();
        let slots = pool.slots.map(|(resource, used, all)| (resource, Slots { used, all }));
        let PoolUse { instances, waiting, resident, .. } = pool;
        Some(Pool { instances, waiting, slots: slots.to_vec(), resident })
    });
    let known = Arc::downgrade(workshop);
    telemetry.watch_compiler(move || {
        let lookups = known.upgrade()?.lookups();
        Some(Compiled { found: lookups.found, anew: lookups.anew, refused: lookups.refused })
    });
}

/// What takes requests.
pub(super) fn app(telemetry: &Telemetry, app: &Arc<App>) {
    let known = Arc::downgrade(app);
    telemetry.watch_queues(move || known.upgrade().map(|app| queues(&app)).unwrap_or_default());
    let known = Arc::downgrade(app);
    telemetry.watch_circuits(move || known.upgrade().map(|app| circuits(&app)).unwrap_or_default());
    let known: Weak<App> = Arc::downgrade(app);
    telemetry.watch_connections(move || {
        let Some(app) = known.upgrade() else { return Vec::new() };
        vec![connections(Listener::Public, &app.public), connections(Listener::Admin, &app.admin)]
    });
    let known = Arc::downgrade(app);
    telemetry.watch_memory(move || {
        let app = known.upgrade()?;
        Some(Memory { used: app.pressure.used(), limit: app.pressure.limit().unwrap_or_default() })
    });
    telemetry.watch_log(masked::lost);
}

/// What is served now: after a reload these are others.
fn queues(app: &App) -> Vec<Queue> {
    let endpoint = app.endpoint();
    let deployments = endpoint.deployments().iter();
    deployments
        .map(|deployment| Queue {
            flow: deployment.runner.flow.id().clone(),
            endpoint: endpoint.name.clone(),
            deployment: deployment.name.clone(),
            running: deployment.admission.running(),
            waiting: deployment.admission.waiting(),
            limit: deployment.admission.limit(),
        })
        .collect()
}

/// The connections of what is served now, each with each state that its circuit breaker can have.
fn circuits(app: &App) -> Vec<Circuit> {
    let endpoint = app.endpoint();
    let mut circuits = Vec::new();
    for deployment in endpoint.deployments() {
        let Some(nodes) = deployment.runner.nodes.in_sandbox() else { continue };
        for (connection, now) in nodes.upstreams().circuits() {
            circuits.push(Circuit {
                flow: deployment.runner.flow.id().clone(),
                endpoint: endpoint.name.clone(),
                deployment: deployment.name.clone(),
                connection,
                states: State::ALL.into_iter().map(|state| (state.name(), state == now)).collect(),
            });
        }
    }
    circuits
}

fn connections(listener: Listener, budget: &Budget) -> Connections {
    Connections { listener, open: budget.open(), limit: budget.limit(), refused: budget.refused() }
}

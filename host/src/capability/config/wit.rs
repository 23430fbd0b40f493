//! The adapter between `wasi:config/store` and a node's [`Grant`](super::Grant). A setting that is not granted looks
//! like one that does not exist.

use super::Settings;
use crate::bindings::store as wit;
use crate::boundary::denial::shown;
use crate::boundary::{Capability, GuestCalls};

impl wit::Host for GuestCalls<'_> {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, wit::Error>> {
        let settings = self.run.held::<Settings>();
        let value = settings.as_ref().and_then(|settings| settings.get(&key).map(str::to_owned));
        // The guest learns nothing, neither by the answer nor by what it costs: whether there is such a setting is not
        // known here.
        if value.is_none() && !settings.is_some_and(|settings| settings.is_of_own_connection(&key)) {
            let (node, name) = (self.run.node.as_str(), shown(&key));
            let reason = format!("node {node:?} holds no setting {name:?}; add it to `grants.config` of the node");
            self.run.denied(Settings::NAME, &reason);
        }
        Ok(Ok(value))
    }

    fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, wit::Error>> {
        let settings = self.run.held::<Settings>();
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Ok(Ok(settings.map(|settings| settings.iter().map(owned).collect()).unwrap_or_default()))
    }
}

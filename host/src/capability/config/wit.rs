//! The adapter between `wasi:config/store` and a node's [`Grant`](super::Grant). A setting that is not granted looks
//! like one that does not exist.

use super::Settings;
use crate::bindings::store as wit;
use crate::boundary::GuestCalls;

impl wit::Host for GuestCalls<'_> {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, wit::Error>> {
        let settings = self.run.held::<Settings>();
        Ok(Ok(settings.and_then(|settings| settings.get(&key).map(str::to_owned))))
    }

    fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, wit::Error>> {
        let settings = self.run.held::<Settings>();
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Ok(Ok(settings.map(|settings| settings.iter().map(owned).collect()).unwrap_or_default()))
    }
}

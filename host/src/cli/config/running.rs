//! How the exporters of a running host are doing, as its admin listener tells.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime;

/// A host on this machine answers at once, or is none.
const PATIENCE: Duration = Duration::from_secs(2);

/// The status of each; none if no host answers there.
pub(super) fn exporters(admin: SocketAddr) -> Option<Vec<Value>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().ok()?;
    // reqwest takes the provider of the process, though this is spoken in the clear.
    _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(PATIENCE).build().ok()?;
    let url = format!("http://{admin}/readyz?verbose");
    let text = runtime.block_on(async { client.get(url).send().await?.text().await }).ok()?;
    let told: Value = serde_json::from_str(&text).ok()?;
    told.get("exporters")?.as_array().cloned()
}

/// The status of one, for people.
pub(super) fn line(status: &Value) -> String {
    let text = |name: &str| status[name].as_str().unwrap_or_default();
    let number = |name: &str| status[name].as_u64().unwrap_or_default();
    let lost: u64 = status["lost"].as_object().into_iter().flat_map(|it| it.values()).filter_map(Value::as_u64).sum();
    let (signal, exporter, state) = (text("signal"), text("exporter"), text("state"));
    let (sent, waiting) = (number("sent"), number("in_memory") + number("spooled"));
    let why = status["error"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{signal} by {exporter}: {state}{why}; {sent} sent, {waiting} waiting, {lost} lost")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_one_line() {
        let status = json!({
            "exporter": "otlp", "signal": "traces", "state": "away", "error": "no connection", "sent": 5,
            "lost": {"spool_full": 2, "refused": 1}, "in_memory": 1, "spooled": 3,
        });
        assert_eq!(line(&status), "traces by otlp: away: no connection; 5 sent, 4 waiting, 3 lost");
    }
}

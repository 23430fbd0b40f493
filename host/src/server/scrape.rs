//! `/metrics` on the operator's listener: what Prometheus reads.

use std::io::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, StatusCode, header};

use crate::server::App;
use crate::server::problem::Problem;
use crate::telemetry::SCRAPE_TYPE;

/// All metrics as text; compressed, as Prometheus asks for it, since it is the same words over and over.
pub(super) async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Problem> {
    let accept = joined(&headers, header::ACCEPT);
    if !takes(&accept, &["text/plain", "text/*", "*/*"], true) {
        return Err(Problem::not_acceptable(&accept, "text/plain"));
    }
    let gzip = takes(&joined(&headers, header::ACCEPT_ENCODING), &["gzip", "*"], false);
    let telemetry = app.telemetry.clone();
    // Thousands of series take some milliseconds, in which no socket would be served by this thread.
    let scraped = tokio::task::spawn_blocking(move || {
        let text = telemetry.scrape()?;
        Some(if gzip { (compressed(&text), true) } else { (text.into_bytes(), false) })
    });
    let scraped = scraped.await.map_err(|error| {
        tracing::error!(%error, "metrics could not be read");
        Problem::internal()
    })?;
    let Some((body, gzip)) = scraped else {
        let message = "metrics are not for Prometheus here: OTEL_METRICS_EXPORTER does not name it";
        return Err(Problem::new(StatusCode::NOT_FOUND, "RouteNotFound", message));
    };
    let mut response = ([(header::CONTENT_TYPE, SCRAPE_TYPE)], body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::VARY, http::HeaderValue::from_static("accept-encoding"));
    if gzip {
        headers.insert(header::CONTENT_ENCODING, http::HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

fn joined(headers: &HeaderMap, name: header::HeaderName) -> String {
    let values: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    values.join(",")
}

/// Whether a list of what a client takes names one of these, and not with the weight 0. `absent`: what an empty list means.
fn takes(list: &str, any: &[&str], absent: bool) -> bool {
    if list.trim().is_empty() {
        return absent;
    }
    list.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f32>);
        any.iter().any(|known| known.eq_ignore_ascii_case(name)) && weight.is_ok_and(|weight| weight > 0.0)
    })
}

fn compressed(text: &str) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text.as_bytes()).and_then(|()| gzip.finish()).expect("memory takes what is written to it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_prometheus_accepts_is_understood() {
        let types = ["text/plain", "text/*", "*/*"];
        for (list, expected) in [
            ("", true),
            ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", true),
            ("text/*", true),
            ("Text/Plain; q=0.1", true),
            ("application/json", false),
            ("text/plain;q=0", false),
            ("text/plain;q=much", false),
        ] {
            assert_eq!(takes(list, &types, true), expected, "{list}");
        }
        for (list, expected) in [("", false), ("gzip", true), ("br, gzip;q=0.5", true), ("gzip;q=0, br", false)] {
            assert_eq!(takes(list, &["gzip", "*"], false), expected, "{list}");
        }
    }
}

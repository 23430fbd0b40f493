//! A pod of the overlay `local`, as kubelet would start, probe and end it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use harness::eventually;
use harness::kubernetes::{PodSpec, manifests, named, render};
use serde_json::{Value, json};

use super::overlay;

const KEY: &str = "local-primary-key-0001";
const HI: &str = r#"{"question": "hi"}"#;

fn seconds(settings: &BTreeMap<String, String>, name: &str) -> u64 {
    let value = settings[name].strip_suffix('s').expect("in seconds");
    value.parse().expect("a number")
}

fn bytes(quantity: &str) -> u64 {
    let (number, unit) = quantity.split_at(quantity.find(|it: char| !it.is_ascii_digit()).unwrap_or(quantity.len()));
    let unit = match unit {
        "Mi" | "MiB" => 20,
        "Gi" | "GiB" => 30,
        other => panic!("{other:?} is no unit here"),
    };
    number.parse::<u64>().expect("a number") << unit
}

#[tokio::test]
async fn it_starts_gets_ready_serves_drains_and_stops_within_its_grace_period() {
    let manifests = manifests(&render(&overlay("local")));
    let spec = PodSpec::of(&manifests, "weir");
    let pod = spec.start().await;
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert_eq!(pod.probe(probe).await, Some(200), "{probe}");
    }
    assert_eq!(pod.post("/score", None, HI).await.expect("an answer").status, 401);
    for key in [KEY, "local-secondary-key-0001"] {
        let reply = pod.post("/score", Some(key), HI).await.expect("an answer");
        assert_eq!((reply.status, reply.json()["answer"].is_string()), (200, true), "{}", reply.text());
    }
    let reply = pod.post("/score", Some(KEY), HI).await.expect("an answer");
    let token = reply.header("x-feedback-token").expect("a token").to_owned();
    let judged = pod.post(&format!("/feedback?feedback_token={token}"), None, "thumbs up").await.expect("an answer");
    assert_eq!((judged.status, judged.header("x-feedback-durability")), (200, Some("disk")), "{}", judged.text());

    // kubelet: SIGTERM, and SIGKILL when the grace period is over.
    let terminated = Instant::now();
    pod.terminate();
    eventually("the readiness probe to fail", async || pod.probe("readinessProbe").await == Some(503)).await;
    // Proxies that do not know yet still send requests.
    assert_eq!(pod.post("/score", Some(KEY), HI).await.expect("an answer").status, 200);
    assert_eq!(pod.probe("livenessProbe").await, Some(200));
    let exit = pod.ended().await;
    let took = terminated.elapsed();
    assert_eq!(exit.status.code(), Some(0), "{}", exit.stderr);
    let grace = &named(&manifests, "Deployment", "weir")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"];
    assert!(took < Duration::from_secs(grace.as_u64().expect("seconds")), "{took:?}");
    let delay = seconds(&spec.settings(), "WEIR_DRAIN_DELAY");
    assert!(took >= Duration::from_secs(delay), "it served for {took:?} and not for the drain delay");
    assert_eq!(spec.written_elsewhere(), Vec::<std::path::PathBuf>::new(), "its root cannot be written to");
}

#[tokio::test]
async fn after_a_crash_its_container_finds_its_code_and_the_feedback_that_it_took() {
    let manifests = manifests(&render(&overlay("local")));
    let spec = PodSpec::of(&manifests, "weir");
    let pod = spec.start().await;
    let lookups = |metrics: &str, result: &str| {
        let label = format!("result=\"{result}\"");
        let line = metrics.lines().find(|it| it.starts_with("weir_compile_cache_lookup_total{") && it.contains(&label));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or_default()
    };
    let metrics = pod.metrics().await;
    assert!(lookups(&metrics, "miss") > 0.0 && lookups(&metrics, "hit") == 0.0, "{metrics}");
    let reply = pod.post("/score", Some(KEY), HI).await.expect("an answer");
    let token = reply.header("x-feedback-token").expect("a token").to_owned();
    pod.kill().await;

    let pod = spec.start().await;
    let metrics = pod.metrics().await;
    assert!(lookups(&metrics, "hit") > 0.0 && lookups(&metrics, "miss") == 0.0, "{metrics}");
    assert_eq!(lookups(&metrics, "refused"), 0.0);
    // The key of its tokens is in a Secret, so it and every other pod know those that the first one gave.
    let judged = pod.post(&format!("/feedback?feedback_token={token}"), None, "thumbs up").await.expect("an answer");
    assert_eq!(judged.status, 200, "{}", judged.text());
    pod.kill().await;
}

#[test]
fn the_times_and_sizes_of_the_manifest_and_of_the_settings_add_up() {
    let manifests = manifests(&render(&overlay("local")));
    let settings = PodSpec::of(&manifests, "weir").settings();
    let deployment = &named(&manifests, "Deployment", "weir")["spec"];
    let pod = &deployment["template"]["spec"];
    let container = &pod["containers"][0];
    let number = |value: &Value| value.as_u64().expect("a number");

    // No hook: SIGTERM comes at once, and the host itself waits. A second is for what is cancelled to say so.
    assert_eq!(container.get("lifecycle"), None);
    let ends = ["WEIR_DRAIN_DELAY", "WEIR_DRAIN_TIMEOUT", "WEIR_FLUSH_TIMEOUT"];
    let ends = ends.iter().map(|name| seconds(&settings, name)).sum::<u64>() + 1;
    let grace = number(&pod["terminationGracePeriodSeconds"]);
    assert!(ends < grace, "it may take {ends} s to end, and is killed after {grace} s");

    let probe = |name: &str| {
        let get = &container[name]["httpGet"];
        assert_eq!(get["port"], "admin", "{name}");
        number(&container[name]["periodSeconds"]) * number(&container[name]["failureThreshold"])
    };
    let starts = probe("startupProbe");
    assert!(starts > seconds(&settings, "WEIR_COMPILE_TIMEOUT"), "{starts}");
    assert!(number(&deployment["progressDeadlineSeconds"]) > starts);
    // Who answers /livez late is restarted after a minute, and not before a probe of readiness has failed.
    assert!(probe("livenessProbe") > probe("readinessProbe"));

    let ports = json!([
        {"name": "http", "containerPort": 8080},
        {"name": "admin", "containerPort": 9090},
    ]);
    assert_eq!(container["ports"], ports);
    assert_eq!((&*settings["WEIR_LISTEN"], &*settings["WEIR_ADMIN_LISTEN"]), ("0.0.0.0:8080", "0.0.0.0:9090"));
    assert_eq!(settings["WEIR_AUTH"], "keys");

    let limits = &container["resources"]["limits"];
    let limit = |name: &str| bytes(limits[name].as_str().expect("a quantity"));
    assert!(bytes(&settings["WEIR_COMPILE_MEMORY"]) < limit("memory"));
    // RESULTS.md: 40 MiB for a host with one flow, and 0.3 MiB for each request that waits.
    let places = settings["WEIR_MAX_CONCURRENCY"].parse::<u64>().expect("a number");
    let most = (40 << 20) + places * (320 << 10);
    assert!(most < bytes(container["resources"]["requests"]["memory"].as_str().expect("a quantity")), "{most}");
    // Three signals, feedback, and as much again as half of it for the compile cache.
    let waiting = 3 * bytes(&settings["WEIR_SPOOL_MAX_BYTES"]) + bytes(&settings["WEIR_FEEDBACK_MAX_BYTES"]);
    let volume = pod["volumes"].as_array().expect("volumes").iter().find(|it| it["name"] == "data").expect("a volume");
    let volume = bytes(volume["emptyDir"]["sizeLimit"].as_str().expect("a quantity"));
    assert!(waiting + waiting / 2 < volume && volume < limit("ephemeral-storage"), "{waiting} of {volume}");

    let scaled = std::fs::read_to_string(super::folder().join("components/keda/scaledobject.yaml")).expect("a file");
    let scaled: Value = serde_saphyr::from_str(&scaled).expect("YAML");
    let threshold = scaled["spec"]["triggers"][0]["metadata"]["threshold"].as_str().expect("text");
    assert_eq!(threshold.parse::<u64>(), Ok(places / 2));
}

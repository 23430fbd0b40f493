//! Guests that reach for what is not theirs, under the eyes that all hostile guests are under: whatever they try, their
//! neighbours answer, and memory, descriptors and instances come back. What exactly they get is for the modules beside.

use bytes::Bytes;
use harness::{Act, Aftermath, FakeWire, Hostile};
use serde_json::{Value, json};

use super::answers::HEAD;
use super::files::NOT_GRANTED;
use super::{DENIED, echo, raw};

/// A guest that is given these inputs.
fn bad(guest: &str, inputs: &Value, node: &str) -> Hostile {
    Hostile::guest_with(guest, &format!("inputs: {inputs}\n{node}"))
}

/// Each run was denied something of this capability so many times.
#[track_caller]
fn denied(after: &Aftermath, capability: &str, times: usize) {
    let denials = after.collector.metric("weir.capability.denial").label("node", "bad");
    assert_eq!(denials.label("capability", capability).count(), (times * after.runs) as u64);
}

#[tokio::test]
async fn knocking_at_addresses_that_are_not_granted() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let hosts =
        ["127.0.0.1", "2130706433", "0x7f.1", "localhost", "[::1]", "[::ffff:7f00:1]", "169.254.169.254", "10.0.0.1"];
    let requests: Vec<_> = hosts.iter().map(|host| raw("GET", &format!("http://{host}:{port}"), "/")).collect();
    let grants = format!("grants: {{http: ['http://*:{port}']}}");
    let after = bad("http_raw", &json!({"requests": requests}), &grants).gives(json!(vec![DENIED; hosts.len()])).await;
    denied(&after, "http", hosts.len());
}

#[tokio::test]
async fn writing_into_the_heads_of_requests() {
    let service = echo();
    let headers = [("Host", "evil"), ("Transfer-Encoding", "chunked"), ("x", "a\r\nhost: evil"), ("x\r\ny", "a")];
    let requests = headers.map(|header| {
        let mut request = raw("GET", &service.origin(), "/");
        request["headers"] = json!([header]);
        request
    });
    let told = [
        "header \"Host\": HeaderError::Forbidden",
        "header \"Transfer-Encoding\": HeaderError::Forbidden",
        "header \"x\": HeaderError::InvalidSyntax",
        "header \"x\\r\\ny\": HeaderError::InvalidSyntax",
    ];
    let grants = format!("grants: {{http: ['{}']}}", service.origin());
    bad("http_raw", &json!({"requests": requests}), &grants).gives(json!(told)).await;
    assert!(service.requests().is_empty());
}

#[tokio::test]
async fn asking_who_never_answers() {
    let service = FakeWire::always(Act::Hold(Bytes::new()));
    let silent = service.origin();
    let node = format!("limits: {{timeout: 300ms}}\ngrants: {{http: ['{silent}']}}");
    let message = "node \"bad\" did not finish within 300ms; raise `limits.timeout` of the node if it may take longer";
    let requests = json!({"requests": [raw("GET", &silent, "/")]});
    bad("http_raw", &requests, &node).ends(504, "NodeTimeout", message).await;
}

#[tokio::test]
async fn asking_who_never_ends() {
    let service = FakeWire::always(Act::Flood(HEAD.into(), vec![b'x'; 64 * 1024].into()));
    let endless = service.origin();
    let node = format!("grants: {{http: ['{endless}']}}");
    let aftermath = bad("http_raw", &json!({"requests": [raw("GET", &endless, "/")]}), &node);
    // The guest keeps the beginning, which ends with a whole piece of what it read.
    let told = aftermath.gives_such(|output| output[0].as_str().is_some_and(|text| text.starts_with("200 xxx"))).await;
    let cut = told.collector.metric("rpc_request").label("api_call", "http.request").label("exception", "Exhausted");
    assert_eq!(cut.count(), told.runs as u64);
}

#[tokio::test]
async fn asking_again_and_again() {
    let service = echo();
    let requests = vec![raw("GET", &service.origin(), "/"); 12];
    let node = format!("limits: {{requests: 10}}\ngrants: {{http: ['{}']}}", service.origin());
    let mut told = vec!["200 GET /"; 10];
    told.extend(["ErrorCode::ConnectionLimitReached"; 2]);
    bad("http_raw", &json!({"requests": requests}), &node).gives(json!(told)).await;
}

#[tokio::test]
async fn looking_for_a_way_out_of_a_folder() {
    let steps = [
        (json!(["read", "data/a.txt"]), "alpha"),
        (json!(["read", "data/../flow.dag.yaml"]), "PermissionDenied"),
        (json!(["read", "data/../../../../etc/passwd"]), "PermissionDenied"),
        (json!(["write", "data/a.txt", "x"]), "PermissionDenied"),
        (json!(["unlink", "data/a.txt"]), "PermissionDenied"),
        (json!(["hardlink", "data/a.txt", "data/b.txt"]), "PermissionDenied"),
        (json!(["read", "/proc/self/environ"]), NOT_GRANTED),
        (json!(["list", "."]), NOT_GRANTED),
    ];
    let (steps, told): (Vec<_>, Vec<_>) = steps.into_iter().unzip();
    let bad = bad("files_does", &json!({"steps": steps}), "grants: {files: [data]}");
    let after = bad.host(|host| host.file("data/a.txt", "alpha")).gives(json!(told)).await;
    // What is asked of no granted folder, the guest's own library refuses.
    denied(&after, "files", 5);
}

#[tokio::test]
async fn filling_a_disk() {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let path = scratch.path().to_string_lossy().into_owned();
    let steps =
        json!({"steps": [["fill", "work/a", "2000000"], ["grow", "work/b", "100000000000"], ["many", "work", "2000"]]});
    let told = json!(["1048576 then QuotaExceeded", "QuotaExceeded", "998 then QuotaExceeded"]);
    let bad = bad("files_does", &steps, "grants: {files: [{path: work, write: true}]}");
    bad.host(|host| host.env("WEIR_SCRATCH_DIR", path).env("WEIR_SCRATCH_MAX_BYTES", "1MiB")).gives(told).await;
    assert_eq!(std::fs::read_dir(scratch.path()).expect("a folder").count(), 0);
}

#[tokio::test]
async fn digging_a_thousand_folders_deep() {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let path = scratch.path().to_string_lossy().into_owned();
    let bad =
        bad("files_does", &json!({"steps": [["deep", "work", "999"]]}), "grants: {files: [{path: work, write: true}]}");
    bad.host(|host| host.env("WEIR_SCRATCH_DIR", path)).gives(json!(["done"])).await;
    assert_eq!(std::fs::read_dir(scratch.path()).expect("a folder").count(), 0);
}

#[tokio::test]
async fn asking_for_the_settings_of_others() {
    let keys = json!({"keys": ["PATH", "HOME", "OPENAI_API_KEY", "WEIR_API_KEY", "../secret"]});
    let bad = bad("config_reads", &keys, "").host(|host| host.env("OPENAI_API_KEY", "canary"));
    let nothing = json!({"PATH": null, "HOME": null, "OPENAI_API_KEY": null, "WEIR_API_KEY": null, "../secret": null});
    let after = bad.gives(json!({"values": nothing, "names": []})).await;
    denied(&after, "config", 5);
}

#[tokio::test]
async fn writing_on_its_span_without_end() {
    let long = "x".repeat(100_000);
    let inputs = json!({
        "attributes": [["trace_id", "posing"], ["new\nline", "posing"], ["mine", long]],
        "events": ["error.type", "esc\u{1b}[31m"],
        "metrics": ["node_request"],
        "lines": ["a\n2026-01-01T00:00:00Z ERROR weir: forged", "esc \u{1b}[2J"],
        "many": 10_000,
    });
    let aftermath = bad("context_notes_anything", &inputs, "").gives(json!(true)).await;
    for span in aftermath.spans() {
        assert!(!span.attributes.values().any(|value| value == "posing"), "{:?}", span.attributes);
        assert!(span.attributes.len() < 200 && span.events.len() < 200, "{span:?}");
    }
}

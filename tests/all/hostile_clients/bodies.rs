//! Bodies that are large, deep or odd: refused or passed on, and never dearer than their size.

use super::*;

/// A flow that hands back what it is given, whatever that is.
const ANYTHING: &str = "
inputs: {list: {type: list}, text: {type: string, default: ''}}
outputs: {list: {type: list, reference: '${inputs.list}'}, text: {type: string, reference: '${inputs.text}'}}
nodes: []
";

/// How much more memory the host may have after bodies of up to 4 MiB than before them, in bytes. Allocators keep what a few
/// of them took; a tree of a million nested values would have some hundred MiB.
const GROWTH: u64 = 64 << 20;

/// The host has not grown much since it had so many bytes.
#[track_caller]
fn no_larger(host: &TestHost, before: u64) {
    let grown = host.resident().saturating_sub(before);
    assert!(grown <= GROWTH, "{grown} bytes more than before");
}

#[tokio::test]
async fn nesting_costs_nothing_however_deep() {
    let host = TestHost::written("anything", ANYTHING).start().await;
    let nested = |open: &str, close: &str, levels: usize| {
        format!(r#"{{"list": [{}1{}]}}"#, open.repeat(levels), close.repeat(levels))
    };
    // The body and its list are levels as well.
    for fits in [nested("[", "]", 62), nested(r#"{"a":"#, "}", 62), nested(r#"[{"a":"#, "}]", 31)] {
        let reply = host.score_with(&[], fits.clone()).await;
        assert_eq!(reply.status, 200, "{fits}: {}", reply.text());
        assert!(fits.contains(&reply.json()["list"].to_string()), "{}", reply.text());
    }
    let before = host.resident();
    for levels in [63, 64, 126, 127, 128, 10_000, 300_000] {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}"), (r#"[{"a":"#, "}]")] {
            let body = nested(open, close, levels);
            let reply = host.score_with(&[], body).await;
            let error = &reply.json()["error"];
            assert_eq!((reply.status, &error["code"]), (400, &json!("UserError")), "{levels} times {open}");
            assert!(reply.text().len() < 1024, "{levels} times {open}: {}", reply.text());
        }
    }
    for endless in ["[", r#"{"a":"#, r#"[{"a":["#, "\"", "{\"list\":["] {
        let body = endless.repeat((4 << 20) / endless.len());
        let reply = host.score_with(&[], body).await;
        assert_eq!(
            (reply.status, reply.text().len() < 1024),
            (400, true),
            "{endless} without an end: {}",
            reply.text()
        );
    }
    no_larger(&host, before);
    host.score(json!({"list": ["still here"]})).await.assert_ok(json!({"list": ["still here"], "text": ""}));
    host.stop().await;
}

#[tokio::test]
async fn a_hundred_thousand_keys_are_read_and_one_of_a_megabyte_is_one_too() {
    let host = TestHost::written("anything", ANYTHING).start().await;
    let before = host.resident();
    let members: Vec<_> = (0..100_000).map(|number| format!(r#""k{number}":{number}"#)).collect();
    let members = members.join(",");
    // As names of inputs that are none, and within a value.
    host.score_with(&[], format!(r#"{{{members},"list":[]}}"#)).await.assert_ok(json!({"list": [], "text": ""}));
    let reply = host.score_with(&[], format!(r#"{{"list":[{{{members}}}]}}"#)).await;
    assert_eq!((reply.status, reply.json()["list"][0]["k99999"].clone()), (200, json!(99_999)));
    let long = "k".repeat(1 << 20);
    host.score_with(&[], format!(r#"{{"{long}":1,"list":[]}}"#)).await.assert_ok(json!({"list": [], "text": ""}));
    let reply = host.score_with(&[], format!(r#"{{"list":[{{"{long}":1}}]}}"#)).await;
    assert_eq!((reply.status, reply.json()["list"][0][&long].clone()), (200, json!(1)));
    // The same one again and again: the last counts.
    let same = r#""list":[1],"#.repeat(100_000);
    host.score_with(&[], format!(r#"{{{same}"list":[2]}}"#)).await.assert_ok(json!({"list": [2], "text": ""}));
    no_larger(&host, before);
    host.stop().await;
}

#[tokio::test]
async fn control_characters_reach_the_flow_and_break_no_line_of_the_log() {
    let flow = "
inputs: {text: {type: string}}
outputs: {text: {type: string, reference: '${says.output.text}'}}
nodes:
- {name: says, type: wasm, source: {type: code, path: guests/run_returns.wasm}, inputs: {text: '${inputs.text}'}}
";
    let host = TestHost::written("says", flow).env("WEIR_LOG", "trace").env("WEIR_TRACE_CONTENT", "full").start().await;
    let text = "a\0b\u{1b}[31mred\r\nERROR forged: line\u{2028}c\u{7f}\u{85}";
    host.score(json!({"text": text})).await.assert_ok(json!({"text": text}));
    let exit = host.stop().await;
    for told in [&exit.stdout, &exit.stderr] {
        assert!(!told.contains(['\0', '\u{1b}', '\u{7f}', '\u{85}']), "{told}");
        assert!(!told.lines().any(|line| line.trim_start().starts_with("ERROR")), "{told}");
    }
}

#[tokio::test]
async fn no_packed_body_is_unpacked() {
    let host = start(&[]).await;
    let before = host.resident();
    for coding in ["gzip", "x-gzip", "deflate", "br", "zstd", "compress", "gzip, gzip", "identity, gzip", "GZIP", "odd"]
    {
        for path in ["/score", "/feedback"] {
            let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Encoding: {coding}\r\n");
            // The head of a gzip of zeros, with a length that says nothing of what it would become.
            let body = "\u{1f}\u{8b}\u{8}\0\0\0\0\0";
            let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
            let mut client = host.raw().await;
            client.send(&request).await;
            let answer = client.answer().await;
            let code = answer.json()["error"]["innerError"]["code"].clone();
            assert_eq!((answer.status, code), (415, json!("UnsupportedEncoding")), "{coding} to {path}");
        }
    }
    let identity = [("content-encoding", "identity")];
    host.score_with(&identity, "as it is").await.assert_ok(json!({"text": "as it is"}));
    no_larger(&host, before);
    host.stop().await;
}

#[tokio::test]
async fn a_client_that_closes_its_side_after_its_request_harms_nobody() {
    let collector = harness::Collector::start();
    let host = TestHost::flow("run_returns").collector(&collector).env("WEIR_MAX_CONCURRENCY", "2").start().await;
    let sockets = host.sockets();
    let body = json!({"text": "a"}).to_string();
    let request = format!("POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut answered = 0;
    for _ in 0..20 {
        let mut client = host.raw().await;
        client.send(&request).await;
        client.finish().await;
        // Whoever closes one side looks like whoever closes both: the host may give the request up.
        let rest = client.rest().await;
        assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 200 "), "{rest}");
        answered += u64::from(!rest.is_empty());
    }
    // But for those to the collector.
    eventually("all connections to be closed", async || host.sockets() <= sockets + 2).await;
    host.score(json!({"text": "still here"})).await.assert_ok(json!({"text": "still here"}));
    host.stop().await;
    let counted = |code| collector.metric("flow_request").label("response_code", code).count();
    assert_eq!(counted("200"), answered + 1);
    assert!(counted("200") + counted("499") <= 21, "none has two outcomes");
}

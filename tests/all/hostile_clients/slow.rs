//! Clients that take their time: with a head, a body, an answer, or the next request.

use super::*;
use harness::Collector;

#[tokio::test]
async fn a_client_that_does_not_finish_its_head_is_told_so_and_closed() {
    let host = start(&[("WEIR_HEADER_TIMEOUT", "200ms")]).await;
    let sockets = host.sockets();

    host.raw().await.closed().await;
    for half in ["G", "POST /score HTTP/1.1\r\n", "POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"] {
        let mut client = host.raw().await;
        client.send(half).await;
        let answer = client.answer().await;
        let found = (answer.status, answer.json()["error"]["innerError"]["code"].clone(), answer.header("connection"));
        assert_eq!(found, (408, json!("RequestReadTimeout"), Some("close")), "{half:?}");
        client.closed().await;
    }
    // What comes byte by byte is no faster.
    let mut client = host.raw().await;
    client.drip("a").await;
    assert_eq!(client.answer().await.status, 408);
    unharmed(host, sockets).await;
}

#[tokio::test]
async fn a_body_that_stops_or_drips_is_given_up() {
    // Of this, a sixth is the time to begin.
    let host = start(&[("WEIR_BODY_TIMEOUT", "600ms")]).await;
    let sockets = host.sockets();
    for path in ["/score", "/feedback"] {
        for begun in ["", "ten bytes."] {
            let mut client = host.raw().await;
            client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n{begun}")).await;
            let answer = client.answer().await;
            let code = answer.json()["error"]["innerError"]["code"].clone();
            assert_eq!(
                (answer.status, code, answer.header("connection")),
                (408, json!("RequestReadTimeout"), Some("close"))
            );
            client.closed().await;
        }
        // What comes byte by byte is no faster.
        let mut client = host.raw().await;
        client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n")).await;
        client.drip("x").await;
        assert_eq!(client.answer().await.status, 408);
    }
    let metrics = host.get_admin("/metrics").await;
    let told = metrics.text().lines().filter(|line| {
        line.starts_with("http_server_request_duration_seconds_count") && line.contains("status_code=\"408\"")
    });
    // Of both paths.
    let told: Vec<_> = told.filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(told, ["3", "3"], "{}", metrics.text());
    unharmed(host, sockets).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_word() {
    let host = start(&[("WEIR_IDLE_TIMEOUT", "100ms")]).await;
    let mut client = host.raw().await;
    client.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.answer().await.header("connection"), None);
    client.closed().await;
    host.stop().await;
}

#[tokio::test]
async fn an_old_connection_is_closed_with_its_last_answer_or_when_idle() {
    let host = start(&[("WEIR_CONNECTION_AGE", "200ms")]).await;
    let mut client = host.raw().await;
    let mut answers = 0;
    loop {
        client.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 200);
        answers += 1;
        if answer.header("connection") == Some("close") {
            break;
        }
    }
    client.closed().await;
    assert!(answers > 1, "it was young once");
    host.raw().await.closed().await;
    host.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_its_stream_is_cut_and_its_nodes_end() {
    let collector = Collector::start();
    let host = TestHost::flow("run_streams").env("WEIR_WRITE_TIMEOUT", "300ms").collector(&collector);
    let host = host.start().await;
    let mut client = RawClient::connect_narrow(host.address()).await;
    let body = json!({"count": 100_000_000}).to_string();
    let head = "POST /score HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n";
    client.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await;

    collector.span("POST /score").await;
    host.stop().await;
    let spans = collector.spans();
    let errors: Vec<_> = spans.iter().map(|span| (&*span.name, &span.attributes["error.type"])).collect();
    let told = |(name, error): &(&str, &serde_json::Value)| match *name {
        "POST /score" => **error == json!("ClientDisconnect"),
        _ => **error == json!("Cancelled") || **error == json!("ClientDisconnect"),
    };
    assert!(errors.len() == 3 && errors.iter().all(told), "{errors:?}");
}

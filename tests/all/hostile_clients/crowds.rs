//! Clients by the hundred, and those that leave in the middle.

use super::*;
use harness::FakeModel;

/// A head that has been begun.
const HALF: &str = "POST /score HTTP/1.1\r\nHost: a\r\nX-Half: ";

#[tokio::test]
async fn half_open_connections_are_not_noticed_by_others_and_end() {
    let host = start(&[("WEIR_HEADER_TIMEOUT", "2s")]).await;
    let sockets = host.sockets();
    let mut half_open = Vec::new();
    for _ in 0..300 {
        let mut client = host.raw().await;
        client.send(HALF).await;
        half_open.push(client);
    }
    for number in 0..20 {
        let text = format!("good {number}");
        host.score_with(&[], text.clone()).await.assert_ok(json!({"text": text}));
    }
    for client in &mut half_open {
        assert_eq!(client.answer().await.status, 408);
    }
    drop(half_open);
    unharmed(host, sockets).await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_while_probes_are_answered() {
    let host = start(&[("WEIR_MAX_CONNECTIONS", "4")]).await;
    let sockets = host.sockets();
    let mut kept = Vec::new();
    for _ in 0..4 {
        let mut client = host.raw().await;
        client.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.answer().await.status, 200);
        kept.push(client);
    }
    for _ in 0..100 {
        host.raw().await.closed().await;
    }
    for probe in ["/livez", "/readyz"] {
        assert_eq!(host.get_admin(probe).await.status, 200, "{probe}");
    }
    // Those that were there are served on.
    for client in &mut kept {
        client.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.answer().await.status, 200);
    }
    drop(kept);
    eventually("places to be free", async || host.sockets() <= sockets).await;
    unharmed(host, sockets).await;
}

#[tokio::test]
async fn two_thousand_that_say_nothing_leave_places_for_those_who_do() {
    // As many at a time as there may be by default; who does not begin within two seconds goes.
    let host = start(&[("WEIR_HEADER_TIMEOUT", "2s")]).await;
    let sockets = host.sockets();
    let mut silent = Vec::new();
    for _ in 0..2000 {
        silent.push(host.raw().await);
    }
    for probe in ["/livez", "/readyz"] {
        assert_eq!(host.get_admin(probe).await.status, 200, "{probe}");
    }
    assert!(host.sockets() <= sockets + 1100, "{} sockets", host.sockets());
    for client in &mut silent {
        client.closed().await;
    }
    drop(silent);
    unharmed(host, sockets).await;
}

#[tokio::test]
async fn one_address_may_have_its_share_of_connections() {
    let host = start(&[("WEIR_MAX_CONNECTIONS_PER_CLIENT", "1")]).await;
    let mut first = host.raw().await;
    first.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(first.answer().await.status, 200);
    host.raw().await.closed().await;
    drop(first);
    eventually("the share to be free", async || {
        let mut next = host.raw().await;
        next.send("GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        next.rest().await.starts_with("HTTP/1.1 200 ")
    })
    .await;
    host.stop().await;
}

#[tokio::test]
async fn clients_that_leave_at_any_moment_leave_nothing_behind() {
    let model = FakeModel::echo().gated().start();
    let host = TestHost::flow("llm_chats").model(&model).env("WEIR_MAX_CONCURRENCY", "4").env("WEIR_MAX_QUEUE", "0");
    let host = host.start().await;
    let sockets = host.sockets();
    let body = json!({"question": "does anybody wait for this?"}).to_string();
    let request = format!("POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    for storm in 0..5 {
        for end in 1..=request.len() {
            let mut client = host.raw().await;
            client.send(&request[..end]).await;
            if (storm + end) % 3 == 0 { drop(client) } else { client.reset() }
        }
    }
    // Those to the model as well: none of its answers was waited for.
    eventually("all connections to be closed", async || host.sockets() <= sockets).await;
    let given_up = model.requests().len();
    model.abandoned(given_up).await;

    // As many as there are places, at the same time. Nobody could wait for one that was lost.
    let ask = || host.score(json!({"question": "and this?"}));
    let together = async {
        model.requested(given_up + 4).await;
        model.release(4);
    };
    let (a, b, c, d, ()) = tokio::join!(ask(), ask(), ask(), ask(), together);
    assert_eq!([a, b, c, d].map(|reply| reply.status), [200; 4]);
    host.stop().await;
}

#[tokio::test]
async fn a_host_without_descriptors_waits_for_some_and_still_answers_its_probes() {
    let host = start(&[]).await;
    // Answered by both listeners: what they keep open is open.
    host.score_with(&[], "first").await.assert_ok(json!({"text": "first"}));
    assert_eq!(host.get_admin("/livez").await.status, 200);
    let sockets = host.sockets();
    host.limit_descriptors(host.descriptors() as u64 + 3);
    // The system completes these connections, whether they are accepted or not.
    let mut waiting = Vec::new();
    for _ in 0..20 {
        waiting.push(host.raw().await);
    }
    host.wrote("connections could not be accepted").await;
    for _ in 0..20 {
        assert_eq!(host.get_admin("/livez").await.status, 200);
    }
    drop(waiting);
    unharmed(host, sockets).await;
}

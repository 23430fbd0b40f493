//! What a host may run short of: memory, file handles, somebody who reads its log; and starts that do not succeed.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::Instant;

use harness::{Collector, HostBuilder, TestHost, eventually};
use serde_json::json;

#[tokio::test]
async fn a_host_that_is_short_of_memory_refuses_scores_and_takes_feedback() {
    let collector = Collector::start();
    // Less than any host has.
    let host = TestHost::flow("run_returns").env("WEIR_MEMORY_LIMIT", "1MiB").collector(&collector).start().await;
    host.wrote("memory is scarce: requests to /score are refused").await;
    for _ in 0..3 {
        let reply = host.score_with(&[], "a").await;
        assert_eq!((reply.header("retry-after"), reply.header("connection")), (Some("5"), Some("close")));
        let error = json!({"error": {
            "code": "SystemError",
            "message": "the host is short of memory; try again",
            "innerError": {"code": "Overloaded"},
        }});
        reply.assert_error(503, error);
    }
    let reply = host.feedback("", &[], "good").await;
    assert_eq!(reply.header("connection"), Some("close"));
    reply.assert_ok(json!({"status": "Feedback received."}));
    assert_eq!((host.get("/health").await.status, host.get_admin("/readyz").await.status), (200, 200));
    assert_eq!(read(&host, "weir_memory_limit_bytes").await, 1_048_576.0);
    assert!(read(&host, "weir_memory_used_bytes").await > 1_048_576.0);
    // Probes may keep their connections.
    assert_eq!(host.get_admin("/livez").await.header("connection"), None);
    collector.span("promptflow-feedback").await;
    host.stop().await;
    let refused = collector.metric("weir.request.refused").label("reason", "memory_scarce");
    assert_eq!(refused.counts().into_values().sum::<u64>(), 3);
}

#[tokio::test]
async fn a_host_with_memory_enough_keeps_its_connections() {
    let host = TestHost::flow("run_returns").start().await;
    let reply = host.score_with(&[], "a").await;
    assert_eq!(reply.header("connection"), None);
    reply.assert_ok(json!({"text": "a"}));
    host.stop().await;
}

#[tokio::test]
async fn with_64_file_handles_a_host_waits_without_work_and_recovers() {
    let host = TestHost::flow("run_returns").env("WEIR_HEADER_TIMEOUT", "2s").start().await;
    host.limit_descriptors(64);
    // The system completes these connections, whether they are accepted or not.
    let mut waiting = Vec::new();
    for _ in 0..100 {
        waiting.push(host.raw().await);
    }
    host.wrote("connections could not be accepted").await;
    for _ in 0..10 {
        assert_eq!(host.get_admin("/livez").await.status, 200);
    }
    // Until the first of them is given up, which has sent nothing, there is nothing to do.
    let (began, worked) = (Instant::now(), host.processor_time());
    waiting[0].closed().await;
    let (passed, worked) = (began.elapsed(), host.processor_time() - worked);
    assert!(worked <= passed / 5 + std::time::Duration::from_millis(50), "{worked:?} of {passed:?}");
    drop(waiting);
    eventually("requests to be served again", async || host.score_with(&[], "a").await.status == 200).await;
    host.stop().await;
}

/// A metric without labels, as Prometheus reads it.
async fn read(host: &TestHost, metric: &str) -> f64 {
    let metrics = host.get_admin("/metrics").await;
    let line = metrics.text().lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    line.expect("it is always told").trim().parse().expect("a number")
}

#[tokio::test]
async fn output_that_nobody_reads_holds_up_nobody_and_what_is_missing_is_said() {
    // Traces are printed on standard output, and heads that are refused logged on standard error.
    let host = TestHost::flow("run_returns").env("WEIR_LOG", "debug").start().await;
    host.stop_reading();
    eventually("lines to be lost", async || {
        for _ in 0..50 {
            let mut client = host.raw().await;
            client.send("GET /health HTTP/1.1\r\n\r\n").await;
            assert_eq!(client.answer().await.status, 400);
        }
        read(&host, "weir_log_lost_total").await > 0.0
    })
    .await;
    for _ in 0..200 {
        host.score_with(&[], "a").await.assert_ok(json!({"text": "a"}));
    }
    assert_eq!(host.get_admin("/livez").await.status, 200);
    host.read_again();
    // With the next line that there is room for.
    let said = async || {
        let mut client = host.raw().await;
        client.send("GET /health HTTP/1.1\r\n\r\n").await;
        client.answer().await.status == 400 && host.has_written("lines of the log were not written: nobody read them")
    };
    eventually("the log to say what is missing", said).await;
    host.stop().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    for (public, admin) in [(address.as_str(), "127.0.0.1:0"), ("127.0.0.1:0", address.as_str())] {
        let host = ["--listen", public, "--admin-listen", admin].into_iter();
        let host = host.fold(TestHost::flow("run_returns"), HostBuilder::arg);
        let exit = host.start_verb("serve").exit().await;
        assert_eq!(exit.status.code(), Some(1), "{}", exit.stderr);
        assert!(exit.told().contains(&format!("cannot listen on {address}")), "{}", exit.stderr);
    }
}

#[tokio::test]
async fn a_signal_during_the_start_ends_it() {
    let cache = tempfile::tempdir().expect("a temporary folder");
    let host = || {
        // Nothing is in its cache, so the start takes a while.
        let host = TestHost::flow("run_returns").env("WEIR_CACHE_DIR", cache.path().display().to_string());
        ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"].into_iter().fold(host, HostBuilder::arg)
    };
    let starting = host().start_verb("serve");
    // Before that it may not have come to its own code.
    let begun = async || fs::read_dir(cache.path()).is_ok_and(|mut files| files.next().is_some());
    eventually("the start to have begun", begun).await;
    starting.terminate();
    let exit = starting.exit().await;
    // By the signal, or in order if it was faster than we.
    let ended = (exit.status.signal(), exit.status.code());
    assert!(matches!(ended, (Some(15), None) | (None, Some(0))), "{:?}: {}", exit.status, exit.stderr);
    // It leaves nothing that keeps the next one from its start.
    let next = host().start_verb("serve");
    next.wrote("listening on http://").await;
    next.terminate();
    assert_eq!(next.exit().await.status.code(), Some(0));
}

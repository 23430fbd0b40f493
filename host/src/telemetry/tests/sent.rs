//! What leaves by OTLP, and that stopping ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::setting::{Reader, Variables};

/// Longest time a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A collector that takes everything: its address, and the request lines it gets.
fn collector() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            thread::spawn(move || take(stream, &sender));
        }
    });
    (address, lines)
}

fn take(mut stream: TcpStream, lines: &mpsc::Sender<String>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        lines.send(line.trim().to_owned()).ok()?;
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok().filter(|read| *read > 0)?;
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if header.trim().is_empty() {
                break;
            }
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
    }
}

fn sending_to(address: &str, protocol: &'static str) -> Telemetry {
    let env = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(format!("http://{address}")),
        "OTEL_EXPORTER_OTLP_PROTOCOL" => Some(protocol.to_owned()),
        _ => None,
    };
    let env = Variables(env);
    Telemetry::start(Config::read(&mut Reader::new(&env))).unwrap()
}

fn one_request(telemetry: Telemetry) -> Telemetry {
    let rig = Rig { telemetry, ..Rig::new() };
    rig.request(&Context::new()).finish(rig.finish_request());
    rig.telemetry
}

#[test]
fn both_signals_go_to_their_paths_below_the_endpoint() {
    let (address, lines) = collector();
    let telemetry = one_request(sending_to(&address, "http/protobuf"));
    assert_eq!(
        telemetry.describe(),
        [
            format!("traces: otlp (http/protobuf) to http://{address}/v1/traces (OTEL_EXPORTER_OTLP_ENDPOINT)"),
            format!("metrics: otlp (http/protobuf) to http://{address}/v1/metrics (OTEL_EXPORTER_OTLP_ENDPOINT)"),
            "metrics: at /metrics of the admin listener".to_owned(),
            format!("logs: otlp (http/protobuf) to http://{address}/v1/logs (OTEL_EXPORTER_OTLP_ENDPOINT)"),
            "feedback: kept in memory until delivered (WEIR_DATA_DIR is not set)".to_owned(),
        ]
    );
    telemetry.stop(PATIENCE);
    let mut got: Vec<String> = lines.try_iter().collect();
    got.sort();
    assert_eq!(got, ["POST /v1/metrics HTTP/1.1", "POST /v1/traces HTTP/1.1"]);
}

#[test]
fn grpc_needs_no_runtime_of_the_caller() {
    let (address, lines) = collector();
    let telemetry = one_request(sending_to(&address, "grpc"));
    // Our collector knows no HTTP/2, so this cannot end well; it shows that a connection was made, and that it ends.
    telemetry.stop(Duration::from_millis(500));
    assert_eq!(lines.recv_timeout(PATIENCE).as_deref(), Ok("PRI * HTTP/2.0"));
}

#[test]
fn telemetry_may_start_and_be_dropped_inside_a_runtime() {
    let (address, lines) = collector();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for protocol in ["grpc", "http/protobuf"] {
            let telemetry = one_request(sending_to(&address, protocol));
            telemetry.stop(Duration::from_millis(500));
        }
    });
    assert!(lines.recv_timeout(PATIENCE).is_ok());
}

#[test]
fn stopping_does_not_wait_for_a_collector_that_never_answers() {
    // Bound and never accepted: connections are made, and nothing comes back.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
    let telemetry = one_request(sending_to(&address, "http/protobuf"));
    let started = Instant::now();
    telemetry.stop(Duration::from_millis(200));
    // Far below the ten seconds that an export may take.
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

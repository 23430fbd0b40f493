//! What holds of every trace, whatever its flow does and however its request ends: random flows over the real binary.
//!
//! The flows, the requests and the moments at which clients go away follow from a seed. `WEIR_TEST_SEED=N` runs the case of
//! a failure again; where threads decide, it may take several runs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::FutureExt as _;
use harness::{Collector, FakeModel, Recorded, Span, Status, TestHost};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;

/// Flows of one run that the seed chooses, each served as a deployment of its own.
const FLOWS: usize = 10;
/// What happens in every run, and to which client, whatever the seed says.
const ALWAYS: [(Does, Client); 5] = [
    (Does::Fails, Client::Waits),
    (Does::Traps, Client::Waits),
    (Does::Loops, Client::Waits),
    (Does::Loops, Client::Leaves(20)),
    (Does::Streams, Client::LeavesStream),
];
/// Requests to each of them.
const REQUESTS: usize = 5;
/// Requests that are on their way when the host is told to stop.
const DRAINED: usize = 10;

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Returns,
    Chats,
    Embeds,
    CallsAChat,
    Sleeps,
    Streams,
    Fails,
    Traps,
    Loops,
    IsBypassed,
}

/// A node, and which of those before it it is given: bits.
type Node = (Does, u8);

/// How a client behaves.
#[derive(Clone, Copy, Debug)]
enum Client {
    Waits,
    Streams,
    /// Goes away after so many milliseconds.
    Leaves(u64),
    /// Goes away after the first frame of a stream.
    LeavesStream,
}

fn does() -> impl Strategy<Value = Does> {
    prop_oneof![
        4 => Just(Does::Returns),
        4 => Just(Does::Chats),
        2 => Just(Does::Embeds),
        2 => Just(Does::CallsAChat),
        3 => Just(Does::Sleeps),
        2 => Just(Does::Streams),
        1 => Just(Does::Fails),
        1 => Just(Does::Traps),
        1 => Just(Does::Loops),
        1 => Just(Does::IsBypassed),
    ]
}

fn client() -> impl Strategy<Value = Client> {
    prop_oneof![
        3 => Just(Client::Waits),
        2 => Just(Client::Streams),
        2 => (0_u64..80).prop_map(Client::Leaves),
        1 => Just(Client::LeavesStream),
    ]
}

/// The flow file of these nodes.
fn flow(nodes: &[Node]) -> String {
    let mut text =
        "inputs: {text: {type: string, default: hi}, go: {type: bool, default: false}}\noutputs:\n".to_owned();
    for (n, (does, _)) in nodes.iter().enumerate() {
        // At most one output may stream.
        let first = nodes.iter().position(|(does, _)| *does == Does::Streams);
        if *does != Does::Streams || first == Some(n) {
            text += &format!("  o{n}: {{type: object, reference: '${{n{n}.output}}'}}\n");
        }
    }
    text += "nodes:\n";
    for (n, (does, given)) in nodes.iter().enumerate() {
        let given: Vec<usize> = (0..n).filter(|before| given >> (before % 8) & 1 == 1).collect();
        text += &node(n, *does, &given);
    }
    text + "- name: callee
  type: wasm
  source: {type: code, path: guests/llm_chats.wasm}
  activate: {when: never, is: run by itself}
  grants: {llm: [open_ai_connection]}
"
}

fn node(n: usize, does: Does, given: &[usize]) -> String {
    let asks = "connection: open_ai_connection";
    let (guest, inputs, more) = match does {
        Does::Returns => ("run_returns", "text: a".to_owned(), ""),
        Does::Chats => {
            ("llm_chats", format!("{asks}, question: '${{inputs.text}}'"), "grants: {llm: [open_ai_connection]}")
        }
        Does::Embeds => ("llm_embeds", format!("{asks}, texts: [a]"), "grants: {llm: [open_ai_connection]}"),
        Does::CallsAChat => (
            "nodes_calls_another",
            format!("node: callee, other_inputs: {{{asks}, question: deep}}"),
            "grants: {nodes: [callee]}",
        ),
        Does::Sleeps => ("run_slow", format!("ms: {}", 5 + n * 7), ""),
        Does::Streams => ("run_streams", "count: 4".to_owned(), ""),
        Does::Fails => ("run_returns_user_error", "code: Random".to_owned(), ""),
        Does::Traps => ("run_traps", "message: random".to_owned(), ""),
        Does::Loops => ("limits_loops_forever", String::new(), "limits: {timeout: 50ms}"),
        Does::IsBypassed => ("run_returns", "text: b".to_owned(), ""),
    };
    // Only guests that take anything can be given what others gave; the rest waits by its condition.
    let takes = matches!(does, Does::Returns | Does::IsBypassed);
    let mut inputs = inputs;
    for before in given.iter().filter(|_| takes) {
        inputs += &format!(", g{before}: '${{n{before}.output}}'");
    }
    let activate = match (does, given.last()) {
        (Does::IsBypassed, _) => "  activate: {when: '${inputs.go}', is: true}\n".to_owned(),
        (_, Some(before)) if !takes => format!("  activate: {{when: '${{n{before}.output}}', is: \"never this\"}}\n"),
        _ => String::new(),
    };
    // A condition that never holds bypasses the node: half of them shall run.
    let activate = if n.is_multiple_of(2) && does != Does::IsBypassed { String::new() } else { activate };
    let more = if more.is_empty() { String::new() } else { format!("  {more}\n") };
    format!(
        "- name: n{n}\n  type: wasm\n  source: {{type: code, path: guests/{guest}.wasm}}\n  inputs: {{{inputs}}}\n{activate}{more}"
    )
}

/// What the seed says.
struct Chosen {
    flows: Vec<Vec<Node>>,
    clients: Vec<Vec<Client>>,
}

fn choose(seed: u64) -> Chosen {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let nodes = prop::collection::vec((does(), any::<u8>()), 1..8);
    let flows = prop::collection::vec(nodes, FLOWS).new_tree(&mut runner).expect("flows can be made").current();
    let clients = prop::collection::vec(prop::collection::vec(client(), REQUESTS), FLOWS);
    let clients = clients.new_tree(&mut runner).expect("clients can be made").current();
    Chosen {
        flows: flows.into_iter().chain(ALWAYS.map(|(does, _)| vec![(does, 0)])).collect(),
        clients: clients.into_iter().chain(ALWAYS.map(|(_, client)| vec![client; REQUESTS])).collect(),
    }
}

fn traceparent(trace: u128) -> String {
    format!("00-{trace:032x}-00f067aa0ba902b7-01")
}

/// Sends one request; whether its reply was read to the end.
async fn ask(host: &TestHost, flow: usize, client: Client, trace: u128) -> bool {
    let (deployment, traceparent) = (format!("f{flow}"), traceparent(trace));
    let headers = [("azureml-model-deployment", deployment.as_str()), ("traceparent", traceparent.as_str())];
    match client {
        Client::Waits => {
            host.score_with(&headers, "{}").await;
            true
        }
        Client::Streams => {
            let mut stream = host.stream_with(&headers, "{}").await;
            // What fails before its first chunk, or does not stream, is answered whole.
            if stream.status == 200 {
                stream.rest().await;
            } else {
                stream.whole().await;
            }
            true
        }
        Client::Leaves(after) => {
            tokio::time::timeout(Duration::from_millis(after), host.score_with(&headers, "{}")).await.is_ok()
        }
        Client::LeavesStream => {
            let mut stream = host.stream_with(&headers, "{}").await;
            stream.status == 200 && stream.next().await.is_none()
        }
    }
}

#[tokio::test]
async fn every_trace_is_whole_whatever_happens() {
    let seed = harness::seed(20_260_517);
    let Chosen { flows, clients } = choose(seed);
    let texts: Vec<(String, String)> =
        flows.iter().enumerate().map(|(n, nodes)| (format!("f{n}"), flow(nodes))).collect();
    let laid: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let files: Vec<(String, String)> = (0..flows.len())
        .map(|n| {
            // Some requests run out of time as a whole.
            let limit = if n < FLOWS && n % 3 == 2 { 60 } else { 5000 };
            let file = format!(
                "name: f{n}\nendpoint_name: random\nmodel: {{path: f{n}}}\nrequest_settings: {{request_timeout_ms: {limit}}}\n"
            );
            (format!("f{n}.yaml"), file)
        })
        .chain([("endpoint.yaml".to_owned(), "name: random\ntraffic: {f0: 100}\n".to_owned())])
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let (model, collector) = (FakeModel::echo().start(), Collector::start());
    let host = TestHost::laid(&laid, &files, "endpoint.yaml").model(&model).collector(&collector);
    // What is on its way when the host is told to stop has a moment, and is then given up.
    let host = host.env("WEIR_DRAIN_TIMEOUT", "100ms").start().await;

    let mut whole = BTreeSet::new();
    let mut trace = u128::from(seed) << 32;
    for round in 0..REQUESTS {
        let asks = clients.iter().enumerate().map(|(flow, clients)| (flow, clients[round], trace + flow as u128));
        let asks: Vec<_> =
            asks.map(|(flow, client, trace)| ask(&host, flow, client, trace).map(move |told| (trace, told))).collect();
        let told = futures_util::future::join_all(asks).await;
        whole.extend(told.into_iter().filter(|(_, whole)| *whole).map(|(trace, _)| format!("{trace:032x}")));
        trace += clients.len() as u128;
    }
    let address = host.address();
    let last: Vec<_> = (0..DRAINED)
        .map(|n| {
            let request = http::Request::post("/score")
                .header("azureml-model-deployment", format!("f{}", n % FLOWS))
                .header("traceparent", traceparent(trace + n as u128))
                .body("{}".into())
                .expect("a request");
            harness::attempt(address, request)
        })
        .collect();
    let last = async { futures_util::future::join_all(last).await };
    let stop = async {
        host.terminate();
        host.ended().await
    };
    tokio::join!(last, stop);

    let spans = collector.spans();
    let faults = faults(&spans, &whole, &model.requests());
    assert!(faults.is_empty(), "WEIR_TEST_SEED={seed}\n{}\n{}", faults.join("\n"), texts[0].1);
    // It would say nothing of what never happened.
    let codes: BTreeSet<&str> = spans.iter().filter_map(|span| span.attributes.get("error.type")?.as_str()).collect();
    for code in ["Cancelled", "ClientDisconnect", "Random", "GuestTrap", "NodeTimeout"] {
        assert!(codes.contains(code), "WEIR_TEST_SEED={seed}: no span failed with {code}: {codes:?}");
    }
}

/// All that is wrong with the traces.
fn faults(spans: &[Span], whole: &BTreeSet<String>, asked: &[Recorded]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut by_id: BTreeMap<&str, &Span> = BTreeMap::new();
    for span in spans {
        if by_id.insert(&span.span_id, span).is_some() {
            faults.push(format!("the span {} of {} was told twice", span.span_id, span.name));
        }
    }
    let mut traces: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
    for span in spans {
        traces.entry(&span.trace_id).or_default().push(span);
    }
    for trace in whole {
        if !traces.contains_key(trace.as_str()) {
            faults.push(format!("the trace {trace} of a request that was answered is lost"));
        }
    }
    // Whoever was asked has seen the span of the call, which must have ended.
    for request in asked {
        let header = request.headers.get("traceparent").and_then(|it| it.to_str().ok()).unwrap_or_default();
        let id = header.split('-').nth(2).unwrap_or_default();
        if !by_id.contains_key(id) {
            faults.push(format!("a service was asked by the span {header}, which was never told"));
        }
    }
    for (trace, spans) in &traces {
        let fault = |what: String| format!("trace {trace}: {what}");
        let roots = spans.iter().filter(|span| span.remote_parent || span.parent.is_none()).count();
        if roots != 1 {
            faults.push(fault(format!("{roots} roots")));
        }
        for span in spans {
            faults.extend(
                of_place(span, &by_id).into_iter().chain(of_status(span)).chain(of_tokens(span, spans)).map(fault),
            );
        }
    }
    faults
}

/// A span lies within its parent in time.
fn of_place(span: &Span, by_id: &BTreeMap<&str, &Span>) -> Option<String> {
    let name = &span.name;
    if span.start > span.end {
        return Some(format!("{name} ends before it starts"));
    }
    let parent = span.parent.as_ref().filter(|_| !span.remote_parent)?;
    let Some(parent) = by_id.get(parent.as_str()) else { return Some(format!("the parent of {name} was never told")) };
    let within = parent.trace_id == span.trace_id && parent.start <= span.start && span.end <= parent.end;
    (!within).then(|| {
        let late = span.end.saturating_sub(parent.end);
        format!("{name} is not within {}: it ends {late} ns later", parent.name)
    })
}

/// What a span says of its end is of one piece.
fn of_status(span: &Span) -> Option<String> {
    let code = span.attributes.get("error.type").and_then(Value::as_str);
    let exception = span.events.iter().find(|event| event.name == "exception");
    let right = match (&span.status, code) {
        (Status::Ok, code) => code.is_none() && exception.is_none(),
        // A request that was wrong is no fault of the server.
        (Status::Unset, _) => span.kind == "server" && exception.is_none(),
        (Status::Error(told), Some("Cancelled" | "ClientDisconnect")) => {
            told == "Execution cancelled." && exception.is_none()
        }
        (Status::Error(told), Some(_)) => exception.is_some_and(|exception| {
            let said = |key: &str| exception.attributes[key].as_str().unwrap_or_default().to_owned();
            *told == format!("{}: {}", said("exception.type"), said("exception.message"))
        }),
        (Status::Error(_), None) => false,
    };
    (!right).then(|| format!("{}: {:?}, {code:?}, {exception:?}", span.name, span.status))
}

/// A span's tokens are those of all calls below it.
fn of_tokens(span: &Span, spans: &[&Span]) -> Vec<String> {
    let of = |span: &Span, key: &str| span.attributes.get(key).and_then(Value::as_u64).unwrap_or_default();
    let parent_of = |it: &Span| spans.iter().copied().find(|above| Some(&above.span_id) == it.parent.as_ref());
    let below =
        |it: &&&Span| std::iter::successors(Some(**it), |it| parent_of(it)).any(|it| it.span_id == span.span_id);
    // The request is no part of prompt flow's tree, and has no sums.
    let pairs = if span.kind == "server" {
        &[][..]
    } else {
        &[("prompt", "prompt_tokens"), ("completion", "completion_tokens"), ("total", "total_tokens")][..]
    };
    let mut faults = Vec::new();
    for (sum, each) in pairs {
        let sum = of(span, &format!("__computed__.cumulative_token_count.{sum}"));
        let all: u64 = spans.iter().filter(below).map(|it| of(it, &format!("llm.usage.{each}"))).sum();
        if sum != all {
            faults.push(format!("{}: {sum} {each}, and {all} in the calls below", span.name));
        }
    }
    faults
}

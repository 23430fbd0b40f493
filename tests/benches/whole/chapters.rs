//! What is measured, chapter by chapter.

use std::path::Path;
use std::time::{Duration, Instant};

use harness::plot::Series;
use harness::{HostBuilder, TestHost, wat};

use crate::Effort;
use crate::echo::{self, Echo};
use crate::flows::{self, Guest};
use crate::instances;
use crate::large;
use crate::load::{self, Connection, Load};
use crate::model::{Manner, Model};
use crate::report::{Growth, Report, line, median};
use crate::sink::Sink;
use crate::streams::{self, percentile};

/// Connections of the load, unless it is about their number.
const CONNECTIONS: usize = 8;

/// CPU of the original for a request, traced, at its best setting, in milliseconds, by the nodes of the flow. Measured on this kind
/// of machine with its own server.
const ORIGINAL: [(usize, f64); 2] = [(3, 15.0), (10, 41.0)];

/// Bytes of the text that goes through a chain.
const TEXT: usize = 1024;

pub(crate) struct Bench {
    effort: Effort,
    sink: Sink,
    report: Report,
}

/// A host under load, and what it took so far.
struct Measured {
    host: TestHost,
    request: Vec<u8>,
    /// Of each round.
    per_second: Vec<f64>,
    /// CPU of each request, in microseconds.
    cpu: Vec<f64>,
}

impl Measured {
    async fn round(&mut self, effort: Effort, connections: usize) -> Load {
        let before = self.host.processor_time();
        let load = load::run(self.host.address(), &self.request, connections, effort.time).await;
        let took = self.host.processor_time().saturating_sub(before);
        self.per_second.push(load.per_second());
        self.cpu.push(took.as_secs_f64() * 1e6 / load.requests as f64);
        load
    }
}

/// A host as it is in production: everything sampled, told and exported.
fn traced(sink: &Sink, flow: &str) -> HostBuilder {
    TestHost::written("bench", flow).env("OTEL_EXPORTER_OTLP_ENDPOINT", sink.origin())
}

impl Bench {
    pub(crate) fn new(effort: Effort) -> Self {
        Self { effort, sink: Sink::start(), report: Report::default() }
    }

    /// All chapters, or those that are named.
    pub(crate) async fn run(mut self, named: &[&str]) -> Report {
        let wanted = |chapter: &str| named.is_empty() || named.contains(&chapter);
        if wanted("requests") {
            self.requests().await;
        }
        if wanted("instances") {
            instances::measure(self.effort, &self.sink, &mut self.report).await;
        }
        if wanted("start") {
            self.start().await;
        }
        if wanted("streams") {
            self.streams().await;
        }
        if wanted("growth") {
            self.growth_of_nodes().await;
            self.growth_of_payload().await;
            self.growth_of_flows().await;
            self.growth_of_components().await;
        }
        assert!(self.sink.bytes() > 0, "nothing was exported");
        self.report
    }

    fn traced(&self, flow: &str) -> HostBuilder {
        traced(&self.sink, flow)
    }

    async fn measured(&self, host: HostBuilder, bytes: usize) -> Measured {
        let host = host.start().await;
        let request = load::request("/score", &flows::body(bytes));
        // Pools and caches are filled, and the memory is there.
        load::run(host.address(), &request, CONNECTIONS, self.effort.time / 4).await;
        Measured { host, request, per_second: Vec::new(), cpu: Vec::new() }
    }

    /// What a request costs, by how many nodes it goes through.
    async fn requests(&mut self) {
        let lengths = [1, 2, 3, 5, 10];
        let echo = Echo::start();
        let echoed = load::request("/score", &flows::body(TEXT));
        load::run(echo.address, &echoed, CONNECTIONS, self.effort.time / 4).await;
        let mut chains = Vec::new();
        for guest in Guest::BOTH {
            for length in lengths {
                let host = self.traced(&flows::chain(guest, length));
                chains.push((guest, length, self.measured(host, TEXT).await));
            }
        }
        let untraced = TestHost::written("bench", &flows::chain(Guest::Rust, 10)).env("OTEL_SDK_DISABLED", "true");
        let mut untraced = self.measured(untraced, TEXT).await;
        let native = load::request("/native", &flows::body(TEXT));
        let (mut bare, mut bare_cpu, mut native_cpu) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.effort.rounds {
            for (_, _, chain) in &mut chains {
                let before = echo.processor_time();
                let load = load::run(echo.address, &echoed, CONNECTIONS, self.effort.time / 4).await;
                bare_cpu.push((echo.processor_time() - before).as_secs_f64() * 1e6 / load.requests as f64);
                bare.push(load.per_second());
                chain.round(self.effort, CONNECTIONS).await;
            }
            untraced.round(self.effort, CONNECTIONS).await;
            let before = echo.processor_time();
            let load = load::run(echo.address, &native, CONNECTIONS, self.effort.time).await;
            native_cpu.push((echo.processor_time() - before).as_secs_f64() * 1e6 / load.requests as f64);
        }

        let report = &mut self.report;
        report.figure("bare axum JSON echo: requests a second", vec![median(&bare)], "");
        report.figure("bare axum JSON echo: CPU of a request", vec![median(&bare_cpu)], "µs");
        let rounds = 0..self.effort.rounds;
        for (guest, most) in [(Guest::Tiny, 14.0), (Guest::Rust, 30.0)] {
            let slope = |round: usize| {
                let points = chains.iter().filter(|it| it.0 == guest).map(|it| (it.1 as f64, it.2.cpu[round]));
                line(&points.collect::<Vec<_>>()).1
            };
            let slopes = rounds.clone().map(slope).collect();
            report.at_most(format!("CPU added per node of a chain, {}", guest.name()), slopes, most, "µs");
        }
        let of = |guest: Guest, length: usize| {
            let found = chains.iter().find(|it| it.0 == guest && it.1 == length);
            &found.expect("it was measured").2
        };
        for guest in Guest::BOTH {
            report.figure(
                format!("1-node `/score`, {}: CPU of a request", guest.name()),
                of(guest, 1).cpu.clone(),
                "µs",
            );
        }
        for (guest, length, least) in
            [(Guest::Tiny, 1, 0.7), (Guest::Rust, 1, 0.7), (Guest::Tiny, 10, 0.4), (Guest::Rust, 10, 0.25)]
        {
            let ratios = of(guest, length).per_second.iter().map(|it| it / median(&bare)).collect();
            let nodes = if length == 1 { "1-node `/score`" } else { "10-node chain" };
            report.at_least(format!("{nodes} ÷ bare echo, {}", guest.name()), ratios, least, "");
        }
        let ratios =
            of(Guest::Rust, echo::NODES).cpu.iter().zip(&native_cpu).map(|(ours, plain)| ours / plain).collect();
        report.figure("CPU of a 10-node chain ÷ the same nodes as functions behind axum", ratios, "");
        let traced = &of(Guest::Rust, 10).cpu;
        let ratios = traced.iter().zip(&untraced.cpu).map(|(on, off)| on / off).collect();
        report.at_most("tracing, metrics and OTLP export on ÷ off, CPU of a 10-node chain", ratios, 1.15, "");
        for (nodes, milliseconds) in ORIGINAL {
            let ratios = of(Guest::Rust, nodes).cpu.iter().map(|cpu| milliseconds * 1000.0 / cpu).collect();
            report.at_least(format!("the original's CPU ÷ ours, {nodes} nodes"), ratios, 250.0, "");
        }
        for (_, _, chain) in chains {
            chain.host.stop().await;
        }
        untraced.host.stop().await;
    }

    /// From the command to the first answer, and what a host then takes.
    async fn start(&mut self) {
        let (mut took, mut resident) = (Vec::new(), Vec::new());
        let request = load::request("/score", &flows::body(TEXT));
        for round in 0..=self.effort.rounds {
            let host = self.traced(&flows::chain(Guest::Rust, 1));
            let began = Instant::now();
            let host = host.start().await;
            Connection::open(host.address()).await.ask(&request).await;
            // The first fills the compile cache.
            if round > 0 {
                took.push(began.elapsed().as_secs_f64() * 1e3);
                load::run(host.address(), &request, CONNECTIONS, self.effort.time).await;
                resident.push(host.resident() as f64 / f64::from(1 << 20));
            }
            host.stop().await;
        }
        self.report.at_most("command to first good `/score`, warm cache", took, 200.0, "ms");
        self.report.at_most("RSS serving one flow, after load", resident, 60.0, "MiB");

        let (cold, _) = self.starts(&flows::chain(Guest::Rust, 1), None).await;
        self.report.figure("command to first good `/score`, empty cache, Rust guest of the SDK", cold, "ms");
        let component = if self.effort.full { large::component(large::LIKE_PYTHON) } else { large::component(1 << 20) };
        let megabytes = component.len() as f64 / 1e6;
        let flow = flows::chain(Guest::Tiny, 1).replace("guests/bench_tiny.wasm", "large.wasm");
        let (cold, processors) = self.starts(&flow, Some(&component)).await;
        let name = format!("component of {megabytes:.0} MB, the size of Python's: command to first good `/score`");
        self.report.figure(format!("{name}, empty cache"), cold.iter().map(|it| it / 1e3).collect(), "s");
        self.report.figure("processors that compile it", processors, "");
        let mut warm = Vec::new();
        let cache = tempfile::tempdir().expect("a temporary folder");
        for round in 0..=self.effort.rounds {
            let (took, _) = self.first_answer(&flow, Some(&component), cache.path()).await;
            if round > 0 {
                warm.push(took.as_secs_f64() * 1e3);
            }
        }
        self.report.at_most(format!("{name}, warm cache"), warm, 200.0, "ms");
    }

    /// Starts on empty caches: from the command to the first answer, in milliseconds, and how many processors were at work.
    async fn starts(&self, flow: &str, component: Option<&[u8]>) -> (Vec<f64>, Vec<f64>) {
        let (mut took, mut processors) = (Vec::new(), Vec::new());
        for _ in 0..self.effort.rounds {
            let cache = tempfile::tempdir().expect("a temporary folder");
            let (time, worked) = self.first_answer(flow, component, cache.path()).await;
            took.push(time.as_secs_f64() * 1e3);
            processors.push(worked.as_secs_f64() / time.as_secs_f64());
        }
        (took, processors)
    }

    /// From the command to the first answer, and how long the host and its compilers have worked for it.
    async fn first_answer(&self, flow: &str, component: Option<&[u8]>, cache: &Path) -> (Duration, Duration) {
        let mut host = self.traced(flow).env("WEIR_CACHE_DIR", cache.to_string_lossy());
        if let Some(bytes) = component {
            host = host.file("large.wasm", bytes);
        }
        let request = load::request("/score", &flows::body(TEXT));
        let began = Instant::now();
        let host = host.start().await;
        Connection::open(host.address()).await.ask(&request).await;
        let (took, worked) = (began.elapsed(), host.processor_time() + host.processor_time_of_children());
        host.stop().await;
        (took, worked)
    }

    /// Streams behind a model that takes two seconds, and requests that wait for it.
    async fn streams(&mut self) {
        // Each that waits has two sockets of the host's, which has twenty thousand descriptors where nobody raises them.
        let (streamed, waiting) = if self.effort.full { (1000, 9500) } else { (50, 200) };
        let slow = Manner { delay: Duration::from_secs(2), words: 20, pause: Duration::ZERO };
        let model = Model::start(slow);
        let sink = self.sink.clone();
        let chat = || {
            traced(&sink, flows::CHAT)
                .file("chat.jinja2", flows::PROMPT)
                .connection_file("open_ai_connection", &model.connection())
                .env("WEIR_MAX_CONCURRENCY", "12000")
                .env("WEIR_MAX_INSTANCES", "12000")
                .env("WEIR_MAX_CONNECTIONS", "24000")
                .env("WEIR_LLM_CONCURRENCY", "12000")
        };
        // The original was asked within half a second, by which its own figure was measured; in one moment is harder.
        let name = format!("{streamed} streams behind a 2 s model");
        for (within, how, most) in [
            (Duration::from_millis(500), "asked for within half a second", Some(2.2)),
            (Duration::ZERO, "asked for at once", None),
        ] {
            let (mut first, mut cpu, mut broken) = (Vec::new(), Vec::new(), 0);
            for _ in 0..self.effort.rounds {
                let host = chat().start().await;
                streams::run(host.address(), 10, slow.words).await;
                let before = host.processor_time();
                let all = streams::within(within, host.address(), streamed, slow.words).await;
                cpu.push((host.processor_time() - before).as_secs_f64() * 1e3 / streamed as f64);
                first.push(percentile(&all.first, 95).as_secs_f64());
                broken += all.broken;
                host.stop().await;
            }
            let measure = format!("{name}, {how}: first event, p95");
            match most {
                Some(most) => self.report.at_most(measure, first, most, "s"),
                None => self.report.figure(measure, first, "s"),
            }
            self.report.at_most(format!("{name}, {how}: CPU of a stream"), cpu, 1.0, "ms");
            self.report.at_most(format!("{name}, {how}: broken"), vec![broken as f64], 0.0, "");
        }

        // As many as there are descriptors for.
        let host = chat().start().await;
        let all = streams::run(host.address(), waiting, slow.words).await;
        let name = format!("{waiting} streams behind a 2 s model, asked for at once");
        self.report.at_most(format!("{name}: broken"), vec![all.broken as f64], 0.0, "");
        self.report.figure(format!("{name}: first event, p95"), vec![percentile(&all.first, 95).as_secs_f64()], "s");
        host.stop().await;

        // Words that come one by one, to few who listen.
        model.set(Manner { delay: Duration::ZERO, words: 200, pause: Duration::from_millis(5) });
        let host = chat().start().await;
        streams::run(host.address(), 4, 200).await;
        let mut added = Vec::new();
        for _ in 0..self.effort.rounds {
            added.push(percentile(&streams::run(host.address(), 4, 200).await.words, 50) as f64);
        }
        self.report.at_most("added latency per streamed token, p50", added, 150.0, "µs");

        // As fast as they go.
        model.set(Manner { delay: Duration::ZERO, words: 2000, pause: Duration::ZERO });
        let mut words = Vec::new();
        for _ in 0..self.effort.rounds {
            let before = host.processor_time();
            let all = streams::run(host.address(), 8, 2000).await;
            words.push(all.words.len() as f64 / (host.processor_time() - before).as_secs_f64());
        }
        host.stop().await;
        self.report.figure("words of streams in a second of one core", words, "");

        // Each waits; what more of them cost.
        let (mut points, mut guests) = (Vec::new(), Vec::new());
        model.set(Manner { delay: Duration::from_secs(600), words: 1, pause: Duration::ZERO });
        let host = chat().start().await;
        let mut held = 0;
        let mut clients = Vec::new();
        for target in [0, waiting / 100, waiting / 10, waiting / 2, waiting] {
            // Not all at one moment: this is about how many wait, and not about how fast they come.
            while held < target {
                let more = (target - held).min(200);
                let address = host.address();
                clients.extend((0..more).map(|_| tokio::spawn(streams::run(address, 1, 1))));
                held += more;
                let deadline = Instant::now() + Duration::from_secs(60);
                while model.waiting() < held {
                    assert!(Instant::now() < deadline, "{} of {held} requests wait", model.waiting());
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            points.push((target as f64, host.resident() as f64 / 1024.0));
            guests.push((target as f64, host.guest_memory() as f64 / 1024.0));
        }
        clients.iter().for_each(tokio::task::JoinHandle::abort);
        let ((_, slope), (_, of_guest)) = (line(&points), line(&guests));
        let name = format!("{waiting} requests waiting on a model: memory of each beside its guest's");
        self.report.at_most(name, vec![slope - of_guest], 48.0, "KiB");
        self.report.grows(Growth {
            file: "waiting.svg",
            title: "Memory by requests that wait for a model".to_owned(),
            axes: ("requests", "KiB"),
            says: format!("{slope:.1} KiB each, of which {of_guest:.1} are the guest's own memory"),
            series: vec![
                Series { name: "RSS".to_owned(), points },
                Series { name: "memory of guests".to_owned(), points: guests },
            ],
        });
        host.kill().await;
    }

    async fn growth_of_nodes(&mut self) {
        let mut series = Vec::new();
        let mut says = Vec::new();
        for guest in Guest::BOTH {
            let mut points = Vec::new();
            for length in [1, 10, 25, 50, 100] {
                let mut chain = self.measured(self.traced(&flows::chain(guest, length)), TEXT).await;
                for _ in 0..self.effort.rounds {
                    chain.round(self.effort, 2).await;
                }
                points.push((length as f64, median(&chain.cpu)));
                chain.host.stop().await;
            }
            says.push(format!("{:.1} µs a node, {}", line(&points).1, guest.name()));
            series.push(Series { name: guest.name().to_owned(), points });
        }
        let says = says.join("; ");
        let title = "CPU of a request by the nodes of its chain".to_owned();
        self.report.grows(Growth { file: "nodes.svg", title, axes: ("nodes", "µs"), series, says });
    }

    async fn growth_of_payload(&mut self) {
        let mut series = Vec::new();
        let mut says = Vec::new();
        for guest in Guest::BOTH {
            let mut points = Vec::new();
            for kib in [1, 10, 100, 1024, 4096, 10_240] {
                let input = "{text: '${inputs.text}'}";
                let limited = format!("{input}, limits: {{memory: 512MiB, output: 16MiB, input: 32MiB}}");
                let flow = flows::chain(guest, 1).replace(input, &limited);
                let host = self.traced(&flow).env("WEIR_MAX_SCORE_BODY", "16MiB");
                let mut chain = self.measured(host, kib * 1024).await;
                for _ in 0..self.effort.rounds {
                    chain.round(self.effort, 1).await;
                }
                points.push((kib as f64, median(&chain.cpu) / 1000.0));
                chain.host.stop().await;
            }
            says.push(format!("{:.2} µs a KiB, {}", line(&points).1 * 1000.0, guest.name()));
            series.push(Series { name: guest.name().to_owned(), points });
        }
        let says = says.join("; ");
        let title = "CPU of a request of one node by its payload".to_owned();
        self.report.grows(Growth { file: "payload.svg", title, axes: ("KiB", "ms"), series, says });
    }

    /// Flows that one host serves as deployments of an endpoint, each of the same component.
    async fn growth_of_flows(&mut self) {
        let (mut memory, mut time) = (Vec::new(), Vec::new());
        for count in [1, 10, 50, 100] {
            let chain = flows::chain(Guest::Rust, 1);
            let names: Vec<String> = (0..count).map(|flow| format!("flow{flow}")).collect();
            let laid: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), chain.as_str())).collect();
            let first = format!("name: chat\ntraffic: {{{}: 100}}\n", names[0]);
            let mut files: Vec<(String, String)> = vec![("endpoint.yaml".to_owned(), first)];
            files.extend(names.iter().map(|name| {
                (format!("{name}.yaml"), format!("name: {name}\nendpoint_name: chat\nmodel: {{path: {name}}}\n"))
            }));
            let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
            let host = TestHost::laid(&laid, &files, "endpoint.yaml");
            let host = host.env("OTEL_EXPORTER_OTLP_ENDPOINT", self.sink.origin());
            let began = Instant::now();
            let host = host.start().await;
            time.push((count as f64, began.elapsed().as_secs_f64() * 1e3));
            memory.push((count as f64, host.resident() as f64 / 1024.0));
            host.stop().await;
        }
        let says = format!("{:.1} KiB and {:.2} ms a flow", line(&memory).1, line(&time).1);
        let series = vec![Series { name: "RSS (KiB)".to_owned(), points: memory }];
        let title = "Memory by flows of one host".to_owned();
        self.report.grows(Growth { file: "flows.svg", title, axes: ("flows", "KiB"), series, says });
    }

    /// Components that one flow is made of, each another one.
    async fn growth_of_components(&mut self) {
        let tiny = include_str!("../../guests/wat/bench_tiny.wat");
        let counts: &[usize] = if self.effort.full { &[1, 50, 100, 250, 500] } else { &[1, 20] };
        let mut points = Vec::new();
        for count in counts {
            let mut flow =
                "inputs: {text: {type: string}}\noutputs: {text: {type: string, reference: '${n0.output}'}}\nnodes:\n"
                    .to_owned();
            let files: Vec<(String, Vec<u8>)> = (0..*count)
                .map(|node| {
                    flow += &format!(
                        "- {{name: n{node}, type: wasm, source: {{type: code, path: n{node}.wasm}}, inputs: {{text: '${{inputs.text}}'}}}}\n"
                    );
                    let text = tiny.replace("(i32.const 1024)", &format!("(i32.const {})", 1024 + 8 * node));
                    (format!("n{node}.wasm"), wat::component(&text).expect("a component"))
                })
                .collect();
            let host = files.iter().fold(self.traced(&flow), |host, (name, bytes)| host.file(name, bytes));
            let host = host.start().await;
            points.push((*count as f64, host.resident() as f64 / 1024.0));
            host.stop().await;
        }
        let says = format!("{:.1} KiB a component", line(&points).1);
        let series = vec![Series { name: "RSS".to_owned(), points }];
        let title = "Memory by components that are loaded".to_owned();
        self.report.grows(Growth { file: "components.svg", title, axes: ("components", "KiB"), series, says });
    }
}

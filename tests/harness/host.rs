//! The true binary as a test drives it: start, ask, stop. What it serves comes from the test.

pub(crate) mod process;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use serde_json::Value;
use tempfile::TempDir;

use crate::collector::{Collector, Protocol};
use crate::command::Running;
use crate::http::{Reply, Stream, open, send};
use crate::model::{self, FakeModel};
use crate::raw::RawClient;
use crate::scenario;
use crate::wait::eventually;
use process::Process;
pub use process::{Exit, compile_cache};

/// The connection by which the flows of the tests reach their [`FakeModel`].
pub const CONNECTION: &str = "open_ai_connection";

/// A running `weir serve`. Dropping it ends it; if the test fails, what it wrote is shown.
#[derive(Debug)]
pub struct TestHost {
    process: Process,
    address: SocketAddr,
    admin: SocketAddr,
    /// The folders live as long as the process.
    _home: TempDir,
}

/// A host to be started.
#[derive(Debug)]
pub struct HostBuilder {
    flow: PathBuf,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    /// Text of a connection file by the connection's name.
    connections: BTreeMap<String, String>,
    home: TempDir,
}

impl TestHost {
    /// A host for a flow of `tests/flows`, with the guests that it names.
    ///
    /// The folder is copied, so that a test may change it: see [`HostBuilder::path`].
    pub fn flow(name: &str) -> HostBuilder {
        let home = new_home();
        let copy = home.path().join("flows").join(name);
        scenario::copy_with_guests(&scenario::folder(name), &copy);
        HostBuilder::new(copy, home)
    }

    /// A host for a flow or prompty that the test writes itself, with the guests that it names. `name` is that of its
    /// folder.
    pub fn written(name: &str, flow: &str) -> HostBuilder {
        let home = new_home();
        let folder = home.path().join("flows").join(name);
        scenario::write_with_guests(flow, &folder);
        HostBuilder::new(folder, home)
    }

    /// A host for a flow folder that the test has made, or for one of the examples.
    pub fn folder(path: impl AsRef<Path>) -> HostBuilder {
        HostBuilder::new(path.as_ref().to_owned(), new_home())
    }

    /// A host for flows and files that the test lays into a folder of its own: flows, with their guests, by the names of
    /// their folders; then files by their paths. It is started with the path `served`; the others are found from there.
    pub fn laid(flows: &[(&str, &str)], files: &[(&str, &str)], served: &str) -> HostBuilder {
        let home = new_home();
        for (name, flow) in flows {
            scenario::write_with_guests(flow, &home.path().join(name));
        }
        for (path, text) in files {
            fs::write(home.path().join(path), text).expect("the test's own folder can be written");
        }
        HostBuilder::new(home.path().join(served), home)
    }

    /// Sends SIGHUP: the files are to be read anew.
    pub fn reload(&self) {
        self.process.hang_up();
    }

    /// The folder of the test: that of [`TestHost::laid`].
    pub fn home(&self) -> &Path {
        self._home.path()
    }

    /// Where it takes requests.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its probes and metrics are.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// `POST /score`.
    pub async fn score(&self, inputs: Value) -> Reply {
        self.score_with(&[], inputs.to_string()).await
    }

    /// `POST /score` with headers and a body as they are.
    pub async fn score_with(&self, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
        send(self.address, post("/score", headers, body.into())).await
    }

    /// `POST /score` by a client that asks for a stream. Returns with the first byte.
    pub async fn stream(&self, inputs: Value) -> Stream {
        self.stream_with(&[], inputs.to_string()).await
    }

    /// [`TestHost::stream`] with further headers and a body as it is.
    pub async fn stream_with(&self, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Stream {
        let headers = [headers, &[("accept", "text/event-stream")]].concat();
        open(self.address, post("/score", &headers, body.into())).await
    }

    /// `POST /feedback` with headers and a body as they are; `query` is empty or begins with `?`.
    pub async fn feedback(&self, query: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
        send(self.address, post(&format!("/feedback{query}"), headers, body.into())).await
    }

    /// `GET` of a path on the public listener.
    pub async fn get(&self, path: &str) -> Reply {
        send(self.address, get(path)).await
    }

    /// `GET` of a path on the admin listener.
    pub async fn get_admin(&self, path: &str) -> Reply {
        send(self.admin, get(path)).await
    }

    /// Any request to the public listener.
    pub async fn send(&self, request: Request<Bytes>) -> Reply {
        send(self.address, request).await
    }

    /// Waits until it has nothing to do: no request, no instance, no slot of the pool. Once a node has run: before, some of
    /// this is not told.
    pub async fn idle(&self) {
        let watched = ["weir_request_running{", "weir_request_waiting{", "weir_instance_active", "weir_pool_slot{"];
        eventually("places and instances to be free", async || {
            let metrics = self.get_admin("/metrics").await;
            let of = |name: &'static str| metrics.text().lines().filter(move |line| line.starts_with(name));
            let is_free = |line: &str| line.contains("state=\"free\"") || line.ends_with(" 0");
            watched.iter().all(|name| of(name).count() > 0 && of(name).all(is_free))
        })
        .await;
    }

    /// How many runs of nodes have had an instance so far.
    pub async fn instances(&self) -> f64 {
        let metrics = self.get_admin("/metrics").await;
        let lines = metrics.text().lines().filter(|line| line.starts_with("weir_instantiation_duration_seconds_count"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Waits until the host has written this text to one of its outputs.
    pub async fn wrote(&self, text: &str) {
        self.process.wrote(text).await;
    }

    /// Whether it has written this text by now.
    pub fn has_written(&self, text: &str) -> bool {
        self.process.has_written(text)
    }

    /// Sends SIGTERM and waits for the end. After that all telemetry has been delivered.
    ///
    /// # Panics
    ///
    /// If the exit status is not 0.
    pub async fn stop(self) -> Exit {
        self.process.terminate();
        let exit = self.process.exit().await;
        assert!(exit.status.success(), "the host ended with {} after SIGTERM", exit.status);
        exit
    }

    /// Sends SIGTERM, and waits for nothing.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// Sends SIGINT, as Ctrl-C does, and waits for nothing.
    pub fn interrupt(&self) {
        self.process.interrupt();
    }

    /// Waits for the end, whatever it is.
    pub async fn ended(self) -> Exit {
        self.process.exit().await
    }

    /// How many file descriptors it has open.
    pub fn descriptors(&self) -> usize {
        self.process.descriptors().0
    }

    /// How many of them are sockets: listeners, connections of clients and to others.
    pub fn sockets(&self) -> usize {
        self.process.descriptors().1
    }

    /// How much memory it has, in bytes: its resident set.
    pub fn resident(&self) -> u64 {
        self.process.resident()
    }

    /// How much of that is memory of guests, in bytes.
    pub fn guest_memory(&self) -> u64 {
        self.process.guest_memory()
    }

    /// How many threads it has.
    pub fn threads(&self) -> u64 {
        self.process.threads()
    }

    /// How long its threads have run, together.
    pub fn processor_time(&self) -> Duration {
        self.process.processor_time()
    }

    /// How long the processes that it has started have run, of which it has seen the end.
    pub fn processor_time_of_children(&self) -> Duration {
        self.process.processor_time_of_children()
    }

    /// From now on nobody reads what it writes: its pipes fill.
    pub fn stop_reading(&self) {
        self.process.stop_reading();
    }

    pub fn read_again(&self) {
        self.process.read_again();
    }

    /// Lets it have no more than so many file descriptors from now on.
    pub fn limit_descriptors(&self, count: u64) {
        self.process.limit_descriptors(count);
    }

    /// A connection on which a test sends bytes as they are.
    pub async fn raw(&self) -> RawClient {
        RawClient::connect(self.address).await
    }

    /// Sends SIGKILL and waits for the end: what a crash leaves behind.
    pub async fn kill(self) -> Exit {
        self.process.kill();
        self.process.exit().await
    }
}

impl HostBuilder {
    fn new(flow: PathBuf, home: TempDir) -> Self {
        Self { flow, arguments: Vec::new(), environment: BTreeMap::new(), connections: BTreeMap::new(), home }
    }

    /// The flow folder, to be changed before the start.
    pub fn path(&self) -> &Path {
        &self.flow
    }

    /// One more argument after `weir serve DIR`.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets a variable. The environment is otherwise empty but for `PATH` and folders of the test's own.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Lets the connection [`CONNECTION`] lead to this model.
    #[must_use]
    pub fn model(self, model: &FakeModel) -> Self {
        self.connection(CONNECTION, model)
    }

    /// Lets a connection of type `open_ai` lead to this model, which has the name `fake-model` for requests that give none.
    #[must_use]
    pub fn connection(mut self, name: &str, model: &FakeModel) -> Self {
        let (address, key) = (model.base_url(), model::KEY);
        let text = format!("name: {name}\ntype: open_ai\napi_key: {key}\nbase_url: {address}\nmodel: fake-model\n");
        self.connections.insert(name.to_owned(), text);
        self
    }

    /// Lets the connection [`CONNECTION`], of type `open_ai`, lead to a service at this address, which breaks in ways that a
    /// model does not. It has the name `m` for requests that give none.
    #[must_use]
    pub fn model_at(self, origin: &str) -> Self {
        let key = model::KEY;
        let text = format!("{{name: {CONNECTION}, type: open_ai, api_key: {key}, base_url: '{origin}/v1', model: m}}");
        self.connection_file(CONNECTION, &text)
    }

    /// Lets a connection of type `azure_open_ai` lead to this model.
    #[must_use]
    pub fn azure(self, name: &str, model: &FakeModel) -> Self {
        let (address, key) = (model.origin(), model::KEY);
        self.connection_file(name, &format!("name: {name}\ntype: azure_open_ai\napi_key: {key}\napi_base: {address}\n"))
    }

    /// Writes a file of the flow folder, and the folders it is in.
    #[must_use]
    pub fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.flow.join(path);
        fs::create_dir_all(path.parent().expect("the flow folder is above")).expect("the test's own folder");
        fs::write(path, text).expect("the test's own folder can be written");
        self
    }

    /// Adds a connection file with this text.
    #[must_use]
    pub fn connection_file(mut self, name: &str, text: &str) -> Self {
        self.connections.insert(name.to_owned(), text.to_owned());
        self
    }

    /// Sends spans and metrics to this collector by HTTP.
    #[must_use]
    pub fn collector(self, collector: &Collector) -> Self {
        self.collector_by(Protocol::Http, collector)
    }

    /// Sends spans and metrics to this collector, soon after they are made.
    #[must_use]
    pub fn collector_by(self, protocol: Protocol, collector: &Collector) -> Self {
        self.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.name())
            // In milliseconds; the defaults are 5, 1 and 60 seconds.
            .env("OTEL_BSP_SCHEDULE_DELAY", "20")
            .env("OTEL_BLRP_SCHEDULE_DELAY", "20")
            .env("OTEL_METRIC_EXPORT_INTERVAL", "100")
    }

    /// Starts the host and waits until it listens.
    ///
    /// # Panics
    ///
    /// If it ends instead.
    pub async fn start(self) -> TestHost {
        let process = self.spawn();
        match process.listening().await {
            Ok((admin, address)) => TestHost { process, address, admin, _home: self.home },
            Err(exit) => panic!("the host ended with {} instead of listening", exit.status),
        }
    }

    /// Starts a host that must refuse to serve, and waits for its end.
    ///
    /// # Panics
    ///
    /// If it serves.
    pub async fn refuses(self) -> Exit {
        let process = self.spawn();
        match process.listening().await {
            Ok((_, address)) => panic!("the host listens on {address} instead of refusing"),
            Err(exit) => exit,
        }
    }

    /// Starts another verb than `serve` on the flow, such as `run`, with the arguments so far.
    pub fn start_verb(self, verb: &str) -> Running {
        Running { process: self.spawn_verb(verb, &[]), _home: self.home }
    }

    fn spawn(&self) -> Process {
        self.spawn_verb("serve", &["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
    }

    fn spawn_verb(&self, verb: &str, arguments: &[&str]) -> Process {
        let mut command = process::weir();
        command.arg(verb).arg(&self.flow).args(arguments);
        if !self.connections.is_empty() {
            command.arg("--connections").arg(self.write_connections());
        }
        command.args(&self.arguments);
        command.env("HOME", self.home.path()).envs(&self.environment);
        Process::spawn(command)
    }

    fn write_connections(&self) -> PathBuf {
        let folder = self.home.path().join("connections");
        fs::create_dir_all(&folder).expect("the test's own folder can be written");
        for (name, text) in &self.connections {
            fs::write(folder.join(format!("{name}.yaml")), text).expect("the test's own folder can be written");
        }
        folder
    }
}

fn new_home() -> TempDir {
    tempfile::Builder::new().prefix("weir-test-").tempdir().expect("the machine has a temporary folder")
}

fn post(path: &str, headers: &[(&str, &str)], body: Bytes) -> Request<Bytes> {
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).expect("the test gives a valid request")
}

fn get(path: &str) -> Request<Bytes> {
    Request::get(path).body(Bytes::new()).expect("the test gives a valid path")
}

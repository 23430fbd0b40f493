//! Flows that run as they are served, in this process and without a listener: what is measured is the sandbox, and what
//! leads to it.

use std::fs;
use std::sync::Arc;

use harness::{compile_cache, guest, origin, wat};
use indexmap::IndexMap;
use opentelemetry::Context;
use tokio::runtime::{Builder, Runtime};
use weir::assembly::{self, Settings as OfFlow};
use weir::boundary::outlet::Unbounded;
use weir::flow::inputs::Inputs;
use weir::flow::value::Json;
use weir::folder::Folder;
use weir::id::RequestId;
use weir::sandbox::Threads;
use weir::sandbox::component::Workshop;
use weir::scheduler::outcome::Outcome;
use weir::scheduler::{Call, Nodes, ReplyMode, Runner};
use weir::telemetry::{Telemetry, Usage};

use crate::work::{WITHOUT_SPANS, settings};

/// Where nodes run.
#[derive(Clone, Copy)]
pub(crate) enum On {
    /// The thread that measures: nobody is woken.
    This,
    /// Threads of their own, as in a host.
    Others,
}

pub(crate) struct Rig {
    runtime: Runtime,
    /// Dropped after what runs on it.
    _guests: Option<Runtime>,
    runner: Runner,
    _folder: tempfile::TempDir,
}

impl Rig {
    /// A flow whose only node is `node`: this guest, or `tiny`.
    pub(crate) fn of_node(guest: &str, limits: &str) -> Self {
        Self::of(
            &format!(
                "inputs: {{}}\noutputs: {{}}\nnodes:\n- name: node\n  type: wasm\n  \
                 source: {{type: code, path: {guest}.wasm}}\n  inputs: {{text: x, count: 1}}\n  {limits}\n"
            ),
            On::This,
        )
    }

    /// A flow of so many nodes, each of which is given what the one before it gave.
    pub(crate) fn of_chain(guest: &str, nodes: usize, on: On) -> Self {
        let node = |number: usize| {
            let text = if number == 0 { "inputs.text".to_owned() } else { format!("n{}.output", number - 1) };
            format!(
                "- {{name: n{number}, type: wasm, source: {{type: code, path: {guest}.wasm}}, inputs: {{text: '${{{text}}}'}}}}\n"
            )
        };
        let (all, last) = ((0..nodes).map(node).collect::<String>(), nodes - 1);
        let outputs = format!("outputs: {{text: {{type: string, reference: '${{n{last}.output}}'}}}}");
        Self::of(&format!("inputs: {{text: {{type: string}}}}\n{outputs}\nnodes:\n{all}"), on)
    }

    /// A flow whose only node renders `template` with the inputs `question` and `history`.
    pub(crate) fn of_template(template: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("template.jinja2"), template).expect("the bench's own folder can be written");
        let inputs = "inputs: {question: q, history: []}";
        let node = format!("- {{name: node, type: prompt, source: {{type: code, path: template.jinja2}}, {inputs}}}\n");
        Self::open(folder, &format!("inputs: {{}}\noutputs: {{}}\nnodes:\n{node}"), On::This)
    }

    fn of(flow: &str, on: On) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let tiny = wat::component(include_str!("tiny.wat")).expect("a component");
        fs::write(folder.path().join("tiny.wasm"), tiny).expect("the bench's own folder can be written");
        for name in ["text_step", "run_returns", "run_streams"] {
            fs::copy(guest(name), folder.path().join(format!("{name}.wasm"))).expect("a guest can be copied");
        }
        Self::open(folder, flow, on)
    }

    fn open(folder: tempfile::TempDir, flow: &str, on: On) -> Self {
        fs::write(folder.path().join("flow.dag.yaml"), flow).expect("the bench's own folder can be written");
        let cache = compile_cache().to_string_lossy().into_owned();
        let more = [("WEIR_CACHE_DIR", cache.as_str()), ("WEIR_MAX_NODE_CHUNK_RATE", "1000000")];
        let settings = settings(&[WITHOUT_SPANS.as_slice(), &more].concat());
        let workshop = Arc::new(Workshop::open(settings.flows.components.clone()).expect("an engine"));
        let opened = Folder::open(folder.path()).expect("the folder is one");
        let of_flow = OfFlow { init: &IndexMap::new(), flows: &settings.flows, env: &|_| None };
        let prepared = assembly::prepare(&opened, &workshop, &of_flow).expect("a flow that can be served");
        let telemetry = Telemetry::start(settings.telemetry).expect("exporters that reach nobody");
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let guests = match on {
            On::This => None,
            On::Others => Some(Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")),
        };
        let io = runtime.handle().clone();
        let threads = Threads { guests: guests.as_ref().map_or(&io, Runtime::handle).clone(), io };
        Self { runtime, _guests: guests, runner: prepared.runner(telemetry, threads), _folder: folder }
    }

    /// Runs the node: a fresh instance, one call.
    pub(crate) fn node(&self, inputs: &Json) -> Json {
        self.runtime.block_on(self.run(inputs, Unbounded::kept()))
    }

    /// Runs the node and reads what it streams as it comes; gives how many chunks there were.
    pub(crate) fn stream(&self, inputs: &Json) -> usize {
        let (outlet, mut chunks) = Unbounded::live();
        let read = async {
            let mut read = 0;
            while chunks.recv().await.is_some() {
                read += 1;
            }
            read
        };
        self.runtime.block_on(async { tokio::join!(self.run(inputs, outlet), read).1 })
    }

    /// Runs the flow, as a request does.
    pub(crate) fn flow(&self, body: &[u8]) -> Json {
        let inputs = Inputs::decode(&self.runner.flow, body).expect("a body that fits");
        let call = Call {
            parent: Context::new(),
            request: RequestId::new("r"),
            request_from_caller: false,
            reply: ReplyMode::Whole,
            line: false,
            usage: Usage::default(),
        };
        match self.runtime.block_on(self.runner.run(inputs, call)).expect("no node fails") {
            Outcome::Whole(whole) => whole.reply,
            Outcome::Streaming(_) => unreachable!("nobody asked for a stream"),
        }
    }

    async fn run(&self, inputs: &Json, outlet: Unbounded) -> Json {
        let Runner { flow, nodes, .. } = &self.runner;
        let index = flow.find("node").expect("it is there");
        Nodes::run(nodes.clone(), index, inputs.clone(), origin(&self.runner), outlet).await.expect("a node that works")
    }
}

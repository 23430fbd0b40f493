//! The command line: what it understands, and how it says what went wrong. One thin module for each verb.
//!
//! Exit status: 0 done, 1 the work failed, 2 the command line or a file is wrong.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "output belongs to the command line")]

mod batch;
pub mod build;
pub mod check;
pub mod compile;
pub mod config;
pub mod doctor;
pub mod import;
pub mod inspect;
mod masked;
pub mod new;
mod process;
mod progress;
pub mod pull;
pub mod push;
pub mod run;
pub mod serve;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use crate::assembly::{self, Fault, Parts};
use crate::batch::MAX_CONCURRENCY;
use crate::batch::shard::Shard;
use crate::builder::scaffold::Language;
use crate::config::{FlowArgs, GivenArgs, Layers, ServeArgs, Settings};
use crate::folder::Folder;
use crate::registry::Reference;
use crate::sandbox::compile::Place;
use crate::sandbox::component::{self, Workshop};

/// Serves prompt flow deployments: every node a sandboxed WebAssembly component, every node traced.
#[derive(Debug, Parser)]
#[command(name = "weir", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve a flow, a deployment or an endpoint: POST /score, POST /feedback
    Serve(ServeArgs),
    /// Print every setting that `serve` with the same arguments would have, and where it comes from
    Config(ConfigArgs),
    /// Send one request to a flow, or one for each line of a data file, without a server
    Run(RunArgs),
    /// Write a node that builds and runs as it is, in Rust, Python, JavaScript or TypeScript
    New(NewArgs),
    /// Compile the nodes that a flow has as source, and lock them
    Build(BuildArgs),
    /// Tell what of a prompt flow folder runs as it is, what needs a grant, and what cannot run
    Import(ImportArgs),
    /// Tell every problem of a flow, its components, connections and grants
    Check(CheckArgs),
    /// Tell what a component is, what it takes and what it asks for
    Inspect(InspectArgs),
    /// Tell what is missing on this machine to build nodes
    Doctor(DoctorArgs),
    /// Put a component into an OCI registry, where flows name it by `source: {type: oci, ref: …}`
    Push(PushArgs),
    /// Get a component from an OCI registry
    Pull(PullArgs),
    /// Compile a component from standard input: what the host does in a process of its own
    #[command(hide = true)]
    Compile(CompileArgs),
}

#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Print JSON: one object for each setting
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct NewArgs {
    /// Name of the node: letters, digits and `_`
    pub name: String,
    /// Where: the folder of a flow, which gets the node; in any other, a folder of that name becomes a flow with it
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// The language of the node
    #[arg(long, value_enum)]
    pub lang: Language,
}

#[derive(Debug, Args)]
pub struct BuildArgs {
    /// The flow folder, or its flow file
    pub flow: PathBuf,
    /// The Python that builds nodes in Python
    #[arg(long, value_name = "PROGRAM", env = "WEIR_PYTHON", default_value = "python3")]
    pub python: PathBuf,
    /// Install packages from this folder of wheels, and ask no package index
    #[arg(long, value_name = "DIR", env = "WEIR_PYTHON_WHEELS")]
    pub wheels: Option<PathBuf>,
    /// The Node.js that builds nodes in JavaScript and TypeScript
    #[arg(long, value_name = "PROGRAM", env = "WEIR_NODE", default_value = "node")]
    pub node: PathBuf,
    /// Install what builds them from this cache of npm, and ask no registry
    #[arg(long, value_name = "DIR", env = "WEIR_NPM_CACHE")]
    pub npm_cache: Option<PathBuf>,
    /// Ask registries for what tags name now, in place of what was locked
    #[arg(long)]
    pub update: bool,
    #[command(flatten)]
    pub registry: RegistryArgs,
}

#[derive(Debug, Args)]
pub struct RegistryArgs {
    /// A registry that is asked by plain HTTP, as HOST or HOST:PORT; those of this machine always are
    #[arg(long, value_name = "HOST", env = "WEIR_REGISTRY_PLAIN_HTTP", value_delimiter = ',')]
    pub plain_http: Vec<String>,
}

#[derive(Debug, Args)]
pub struct PushArgs {
    /// The component: a .wasm file; with --node a flow folder that was built
    pub component: PathBuf,
    /// Where it goes: REGISTRY/REPOSITORY:TAG
    #[arg(value_name = "REF")]
    pub reference: Reference,
    /// Push what `weir build` has made of this node's source
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    #[command(flatten)]
    pub registry: RegistryArgs,
}

#[derive(Debug, Args)]
pub struct PullArgs {
    /// What to get: REGISTRY/REPOSITORY:TAG, or REGISTRY/REPOSITORY@sha256:DIGEST
    #[arg(value_name = "REF")]
    pub reference: Reference,
    /// Where it goes; else the last part of the repository's name, with .wasm
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub registry: RegistryArgs,
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(flatten)]
    pub build: BuildArgs,
    /// Print JSON: one object with all that was found
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub flow: FlowArgs,
    /// Print JSON: one object with all problems and warnings
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub flow: FlowArgs,
    /// One input as text, which the flow's types make a number, list or object of; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub input: Vec<String>,
    /// A JSON file: one object of inputs by name
    #[arg(long, value_name = "FILE")]
    pub inputs: Option<PathBuf>,
    /// A file of JSON lines: send one request for each, and go on where an earlier run was broken off
    #[arg(long, value_name = "FILE", conflicts_with_all = ["input", "inputs"])]
    pub data: Option<PathBuf>,
    /// Where an input comes from: `${data.COLUMN}`, or a text; else it is the column of its name. May be given several
    /// times
    #[arg(long, value_name = "NAME=VALUE", requires = "data")]
    pub column_mapping: Vec<String>,
    /// Where the results go, a JSON line for each line of the data; else to standard output
    #[arg(long, value_name = "FILE", requires = "data")]
    pub output: Option<PathBuf>,
    /// Run only part I of N of the lines, the first being 0, as one of N runs that share the data and nothing else; the
    /// results of all, put into one file, are the `--output` of a last run without this, which aggregates
    #[arg(long, value_name = "I/N", requires = "data", default_value_t = Shard::WHOLE, hide_default_value = true)]
    pub shard: Shard,
    /// How many lines run at the same time
    #[arg(long, value_name = "N", requires = "data", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_CONCURRENCY)))]
    pub concurrency: u16,
    /// Print the trace as a tree, on standard error
    #[arg(long)]
    pub trace: bool,
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The component
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The Python that builds nodes in Python
    #[arg(long, value_name = "PROGRAM", env = "WEIR_PYTHON", default_value = "python3")]
    pub python: PathBuf,
    /// The Node.js that builds nodes in JavaScript and TypeScript
    #[arg(long, value_name = "PROGRAM", env = "WEIR_NODE", default_value = "node")]
    pub node: PathBuf,
}

#[derive(Debug, Args)]
pub struct CompileArgs {
    #[arg(long)]
    pub size: usize,
    #[arg(long)]
    pub functions: usize,
    #[arg(long)]
    pub memory: u64,
    #[arg(long)]
    pub seconds: u64,
}

/// How a verb ended.
pub type Done = Result<(), Error>;

/// Why a verb failed, by whose fault.
#[derive(Debug)]
pub enum Error {
    /// The command line, a setting or a file is wrong: the user can fix it. All faults, each on lines of its own.
    Wrong(Vec<String>),
    /// Likewise, and it has been told already.
    Told,
    /// The work is done, and has told what is left to do.
    Left,
    /// The work failed.
    Failed(anyhow::Error),
}

impl Cli {
    /// Reads the command line of the process. Ends it with status 2 if it is wrong.
    pub fn read() -> Self {
        Self::parse()
    }
}

impl Error {
    /// One fault.
    #[expect(clippy::needless_pass_by_value, reason = "so that it can be handed to `map_err` as it is")]
    pub fn wrong(fault: impl ToString) -> Self {
        Self::Wrong(vec![fault.to_string()])
    }

    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Wrong(_) | Self::Told => ExitCode::from(2),
            Self::Left | Self::Failed(_) => ExitCode::FAILURE,
        }
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// Settings for a verb that runs one flow without a server.
///
/// # Errors
/// All settings that cannot be understood.
fn settings(given: &GivenArgs) -> Result<Settings, Error> {
    let flags = given.flags();
    Settings::read(&Layers::of_process(given, &flags)).map_err(Error::Wrong)
}

/// Reads a flow and everything its nodes need, and tells what is worth knowing about it.
///
/// # Errors
/// All that is wrong with the flow, its components, connections and grants.
fn load(flow: &FlowArgs, settings: &Settings) -> Result<Parts, Error> {
    let parts = prepare(flow, settings)?.map_err(wrong)?;
    parts.warnings.iter().for_each(warn);
    Ok(parts)
}

fn prepare(flow: &FlowArgs, settings: &Settings) -> Result<Result<Parts, Fault>, Error> {
    let workshop = workshop(settings.flows.components.clone())?;
    let flags = flow.given.flags();
    let layers = Layers::of_process(&flow.given, &flags);
    let init = flow.given.init.iter().cloned().collect();
    let settings = assembly::Settings { init: &init, flows: &settings.flows, env: &|name| layers.variable(name) };
    Ok(Folder::open(&flow.flow)
        .map_err(Fault::from)
        .and_then(|folder| assembly::prepare(&folder, &workshop, &settings)))
}

/// The sandbox that all flows of the process share.
fn workshop(mut config: component::Config) -> Result<Arc<Workshop>, Error> {
    // This program has the verb that compiles.
    config.place = Place::Apart;
    Ok(Arc::new(Workshop::open(config).context("the sandbox cannot be set up")?))
}

/// A fault as a person reads it: what is wrong with a file is pointed at in it.
fn wrong(fault: Fault) -> Error {
    match fault {
        Fault::Flow(problems) => Error::wrong(format!("{:?}", miette::Report::new(problems))),
        Fault::Folder(error) => Error::wrong(error),
        Fault::Runtime(_) => Error::Failed(fault.into()),
    }
}

/// Tells a person what went wrong.
pub fn complain(error: &Error) {
    let complaint = complaint(error);
    if !complaint.is_empty() {
        eprintln!("{complaint}");
    }
}

/// What went wrong, in lines; nothing if it has been told.
fn complaint(error: &Error) -> String {
    match error {
        Error::Wrong(faults) => {
            let count = (faults.len() > 1).then(|| format!("{} problems", faults.len()));
            let faults = faults.iter().map(|fault| format!("error: {}", fault.trim_end()));
            faults.chain(count).collect::<Vec<_>>().join("\n")
        }
        Error::Told | Error::Left => String::new(),
        Error::Failed(error) => format!("error: {error:#}"),
    }
}

/// Tells a person what is worth knowing but stops nothing.
fn warn(warning: impl std::fmt::Display) {
    eprintln!("warning: {warning}");
}

/// Tells a person how the work goes.
fn tell(line: impl std::fmt::Display) {
    eprintln!("{line}");
}

/// Says something on standard output. One place, so that what programs read and what people read stays apart.
fn say(line: impl std::fmt::Display) {
    println!("{line}");
}

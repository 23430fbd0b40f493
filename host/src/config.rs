//! Settings: gathered once, all faults at once, each with where it came from. The only module that reads the process
//! environment.
//!
//! Every module declares the settings it needs; here they are read from layers (see layers.rs): flags, then the
//! environment, then the configuration file, then a deployment file, then defaults. Prompt flow's and OpenTelemetry's own
//! variables keep their names and meaning.

mod arguments;
mod file;
mod layers;
mod open_telemetry;
pub mod prompt_flow;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::address::Allowed;
use crate::boundary::budget;
use crate::capability::llm::openai;
use crate::capability::upstream;
use crate::identity::Identity;
use crate::images;
use crate::sandbox::ahead::MadeAhead;
use crate::sandbox::component;
use crate::sandbox::limits::Caps;
use crate::sandbox::reuse;
use crate::server::config as server;
use crate::setting::{self, Found, Reader, Setting};
use crate::telemetry;
use crate::units::Bytes;

pub use arguments::{FlowArgs, GivenArgs, ServeArgs, SettingArgs};
pub use file::{File, FileError};
pub use layers::{Flag, Layers, Told};

pub static LISTEN: Setting = Setting::new("WEIR_LISTEN", "127.0.0.1:8080", "address of the public listener");
pub static ADMIN_LISTEN: Setting =
    Setting::new("WEIR_ADMIN_LISTEN", "127.0.0.1:9090", "address of the operator's listener");
pub static CONNECTIONS: Setting =
    Setting::optional("WEIR_CONNECTIONS", "none", "connection files or folders, separated by `:`");
pub static CACHE_DIR: Setting =
    Setting::optional("WEIR_CACHE_DIR", "`weir` in the user's cache folder", "where compiled components are kept");
pub static LOG: Setting = Setting::new("WEIR_LOG", "info", "what the host logs, as a `tracing` filter");
/// What images requests may point to on the web. `none`: nothing is fetched. Else hosts, as `registry.internal`,
/// `10.1.2.3:8080` or `10.0.0.0/8`, separated by commas, from which images are fetched although they are not public.
pub static IMAGE_HOSTS: Setting = Setting::optional(
    "WEIR_IMAGE_HOSTS",
    "public hosts alone",
    "hosts that images may be fetched from though they are not public (`registry.internal`, `10.1.2.3:8080`, \
     `10.0.0.0/8`, comma separated); `none`: nothing is fetched",
);
/// As [`IMAGE_HOSTS`], but for `none`. A host that a grant names by its address or by a private name, and that of a
/// connection, need not be here.
pub static HTTP_HOSTS: Setting = Setting::optional(
    "WEIR_HTTP_HOSTS",
    "public hosts, and those that a grant names by address",
    "likewise for what nodes may ask, as far as their grants reach",
);
pub static SCRATCH_DIR: Setting = Setting::optional(
    "WEIR_SCRATCH_DIR",
    "nodes write nothing",
    "folder below which each run of a node gets an empty one to write in, where its flow grants that; gone with the run",
);
/// As much as of memory: what a node unpacks or renders for itself. All requests at once may take this many times so much.
pub static SCRATCH_MAX_BYTES: Setting = Setting::new(
    "WEIR_SCRATCH_MAX_BYTES",
    "64MiB",
    "how much one run may write there, in at most 1000 files and folders; at most 16GiB",
);
pub static POLICY: Setting = Setting::optional(
    "WEIR_POLICY",
    "they may ask for everything",
    "file that says what flows may ask for at most, in `grants` and by `connection` (flag `--policy`); see \"Policy\"",
);
/// Prompt flow's variables: see capability/llm/caller.rs.
pub static USER_AGENT: Setting = Setting::optional(
    "USER_AGENT",
    "none",
    "who asks, told to services of models in `x-ms-useragent` beside weir itself",
);
pub static PF_USER_AGENT: Setting = Setting::optional("PF_USER_AGENT", "none", "likewise");
/// Prompt flow's variable.
pub static LINE_TIMEOUT: Setting =
    Setting::new("PF_LINE_TIMEOUT_SEC", "300", "wall time of a request, in whole seconds");
/// What a deployment file says in milliseconds; comes before [`LINE_TIMEOUT`].
pub static REQUEST_TIMEOUT: Setting = Setting::optional(
    "WEIR_REQUEST_TIMEOUT",
    "`PF_LINE_TIMEOUT_SEC`",
    "wall time of a request; a deployment's `request_timeout_ms`",
);
pub static FLOW_INIT: Setting = Setting::optional(
    "PF_FLOW_INIT_CONFIG",
    "none",
    "what a flex flow is initialised with, a JSON object (flag `--init NAME=VALUE`)",
);
pub static INCLUDED_FIELDS: Setting = Setting::optional(
    "PROMPTFLOW_RESPONSE_INCLUDED_FIELDS",
    "the file's",
    "JSON list of the outputs that replies show, in place of `evaluation_only` in the flow file",
);
pub static RELOAD_INTERVAL: Setting = Setting::new(
    "WEIR_RELOAD_INTERVAL",
    "2s",
    "how often deployment and endpoint files are looked at; 0: they are read anew on SIGHUP alone, as flows are",
);
pub static BUILD_INFO: Setting = Setting::optional("BUILD_INFO", "empty", "told by `/version`");

/// Longest wall time of a request that may be asked for.
const MAX_REQUEST_TIMEOUT: Duration = Duration::from_secs(3600);

/// What an operator says about every flow.
#[derive(Clone, Debug)]
pub struct Flows {
    pub components: component::Config,
    /// How much of each limit a flow may ask for.
    pub limits: Caps,
    /// How many instances wait for the next run of a node that has them used again.
    pub kept: reuse::Kept,
    /// How many are made before a run asks.
    pub ahead: MadeAhead,
    /// Connection files, and folders of them.
    pub connections: Vec<PathBuf>,
    /// Wall time of a whole request.
    pub timeout: Duration,
    /// Hosts that nodes may reach although they are not public: see [`HTTP_HOSTS`].
    pub http_hosts: Allowed,
    /// Where their runs may write, and how much each; none: nowhere.
    pub scratch: Option<(PathBuf, Bytes)>,
    /// File of what they may ask for at most.
    pub policy: Option<PathBuf>,
    /// Who asks services of models, beside weir itself.
    pub agent: Vec<String>,
    /// How patient it is with them.
    pub models: openai::Limits,
    /// Whether services that fail are asked, and asked again.
    pub upstream: upstream::Config,
    /// The most that a flow may let a request spend on models.
    pub budget: budget::Limits,
}

/// Everything that can be set.
#[derive(Debug)]
pub struct Settings {
    pub listen: SocketAddr,
    pub admin_listen: SocketAddr,
    pub log: String,
    pub telemetry: telemetry::Config,
    pub server: server::Config,
    pub flows: Flows,
    pub images: images::Config,
    pub build_info: String,
    pub reload_interval: Duration,
    /// Each of them as it was found.
    pub found: Vec<Found>,
}

/// Reads a variable of the process environment; one that is empty or not UTF-8 counts as unset.
pub fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is the module that reads the environment")]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Settings {
    /// # Errors
    /// All settings that cannot be understood, one text each.
    pub fn read(layers: &Layers<'_>) -> Result<Self, Vec<String>> {
        let mut reader = Reader::new(layers);
        let listen = reader.value(&LISTEN, address);
        let admin_listen = reader.value(&ADMIN_LISTEN, address);
        let connections = reader.optional(&CONNECTIONS, |text| Ok(text.split(':').map(PathBuf::from).collect()));
        let cache_dir = reader.optional(&CACHE_DIR, setting::path).or_else(|| user_cache(layers));
        let components = component::Config::read(&mut reader, cache_dir);
        let flows = Flows {
            components,
            limits: Caps::read(&mut reader),
            kept: reuse::Kept::read(&mut reader),
            ahead: MadeAhead::read(&mut reader),
            connections: connections.unwrap_or_default(),
            timeout: timeout(&mut reader),
            http_hosts: reader.optional(&HTTP_HOSTS, |text| said(Allowed::parse(text))).unwrap_or_default(),
            scratch: scratch(&mut reader),
            policy: reader.optional(&POLICY, setting::path),
            agent: [&USER_AGENT, &PF_USER_AGENT].into_iter().filter_map(|it| reader.optional(it, user_agent)).collect(),
            models: openai::Limits::read(&mut reader),
            upstream: upstream::Config::read(&mut reader),
            budget: budget::Limits::read(&mut reader),
        };
        let images = reader.optional(&IMAGE_HOSTS, |text| {
            images::Config::parse(text).map_err(|error| format!("{error}; or `none`, to fetch no images"))
        });
        let log = reader.optional(&LOG, setting::text);
        let log = prompt_flow::log_level(&mut reader).filter(|_| log.is_none()).or(log);
        let log = log.unwrap_or_else(|| LOG.default.to_owned());
        let log = open_telemetry::with_log_level(&mut reader, log);
        let server = server::Config::read(&mut reader);
        let mut telemetry = telemetry::Config::read(&mut reader);
        telemetry.identity = Identity::from_env(&variable);
        telemetry.app_insights.identify(&variable);
        // Read again for each flow, which may have its own; here for the list.
        reader.optional(&FLOW_INIT, setting::text);
        reader.optional(&INCLUDED_FIELDS, setting::text);
        let build_info = reader.optional(&BUILD_INFO, setting::text).unwrap_or_default();
        let reload_interval = reader.value(&RELOAD_INTERVAL, setting::time_or_none_up_to(MAX_REQUEST_TIMEOUT));
        unknown_sets(layers, &mut reader);
        let (found, problems) = reader.finish();
        if !problems.is_empty() {
            return Err(problems);
        }
        let images = images.unwrap_or_default();
        // Keys of callers and of services that telemetry goes to.
        let secrets = found.iter().filter(|found| found.setting.secret).filter_map(|found| found.text.as_deref());
        telemetry.redactor.learn(secrets);
        Ok(Self { listen, admin_listen, log, telemetry, server, flows, images, build_info, reload_interval, found })
    }

    /// The settings that the layers' file, if there is one, may hold by their keys.
    pub fn keys() -> Vec<String> {
        documented().iter().filter_map(|found| found.setting.key()).collect()
    }
}

/// Every setting with its default: what the README's table is held against.
pub fn documented() -> Vec<Found> {
    let layers = Layers { variables: &[], flags: &[], environment: &|_| None, file: None, deployment: None };
    Settings::read(&layers).map(|settings| settings.found).unwrap_or_default()
}

/// `--set` names settings by their keys; one that nobody has asked for does not exist.
fn unknown_sets(layers: &Layers<'_>, reader: &mut Reader<'_>) {
    let known = reader.keys();
    for flag in layers.flags.iter().filter(|flag| flag.is_set() && !known.contains(&flag.key())) {
        let near = crate::flow::problem::nearest(&flag.key(), known.iter().map(String::as_str));
        let help = near.map_or_else(|| "`weir config` lists them".to_owned(), |near| format!("did you mean `{near}`?"));
        reader.complain(format!("--set: there is no setting `{}`; {help}", flag.key()));
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{text:?} is no address; write ADDRESS:PORT, such as 0.0.0.0:8080"))
}

fn said<T>(parsed: Result<T, impl ToString>) -> Result<T, String> {
    parsed.map_err(|error| error.to_string())
}

fn timeout(reader: &mut Reader<'_>) -> Duration {
    let seconds = |text: &str| {
        let seconds = text.parse::<u64>().ok().filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let time = seconds.filter(|time| *time <= MAX_REQUEST_TIMEOUT);
        time.ok_or_else(|| format!("{text:?} is no time; write whole seconds, such as 300, of at most 3600"))
    };
    let line = reader.value(&LINE_TIMEOUT, seconds);
    reader.optional(&REQUEST_TIMEOUT, setting::time_up_to(MAX_REQUEST_TIMEOUT)).unwrap_or(line)
}

/// More than a run would ever write of its own accord; who needs it has a disk for it.
const MAX_SCRATCH: u64 = 16 << 30;

fn scratch(reader: &mut Reader<'_>) -> Option<(PathBuf, Bytes)> {
    let path = reader.optional(&SCRATCH_DIR, setting::path);
    let bytes = reader.value(&SCRATCH_MAX_BYTES, setting::size_up_to(MAX_SCRATCH));
    path.map(|path| (path, Bytes(bytes as u64)))
}

fn user_agent(text: &str) -> Result<String, String> {
    if text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} cannot be sent; write visible ASCII, such as app/1.0"))
}

fn user_cache(layers: &Layers<'_>) -> Option<PathBuf> {
    cache_of_user(&layers.environment)
}

fn cache_of_user(environment: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let cache = environment("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(environment("HOME")?).join(".cache")));
    cache.map(|cache| cache.join("weir"))
}

/// Where what took long to make is kept, for verbs that read no other setting.
pub fn cache_dir() -> Option<PathBuf> {
    variable(CACHE_DIR.variable).map(PathBuf::from).or_else(|| cache_of_user(&variable))
}

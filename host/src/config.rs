//! Settings: gathered once, all faults at once. The only module that reads the process environment.
//!
//! Every module owns the settings it needs; here they are filled from flags and variables. What flags say comes first,
//! then `WEIR_*` variables, then defaults. Prompt flow's and OpenTelemetry's own variables keep their names and meaning.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::address::Allowed;
use crate::images;
use crate::sandbox::component;
use crate::server::access;
use crate::setting::{Given, Origin, Reader, Setting, Source};
use crate::telemetry;

/// Where compiled components are kept; empty for nowhere. Default: `weir` in the user's cache folder.
pub const CACHE_DIR: &str = "WEIR_CACHE_DIR";
/// What the host logs, as `tracing` filters are written. Default: `info`.
pub const LOG: &str = "WEIR_LOG";
/// What images requests may point to on the web. `none`: nothing is fetched. Else hosts, as `registry.internal`,
/// `10.1.2.3:8080` or `10.0.0.0/8`, separated by commas, from which images are fetched although they are not public.
/// Default: public hosts alone.
pub const IMAGE_HOSTS: &str = "WEIR_IMAGE_HOSTS";
/// Hosts that nodes may reach although they are not public, as far as their flows grant them: as in [`IMAGE_HOSTS`], but for
/// `none`. A host that a grant names by its address or by a private name, and that of a connection, need not be here.
pub const HTTP_HOSTS: &str = "WEIR_HTTP_HOSTS";
/// Wall time of a whole request, in seconds: prompt flow's variable. Default: 300.
pub const LINE_TIMEOUT: &str = "PF_LINE_TIMEOUT_SEC";
/// Told by `/version`, as the original does.
pub const BUILD_INFO: &str = "BUILD_INFO";

/// What `weir serve` is told on the command line.
#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub flow: FlowArgs,
    /// Address of the public listener; port 0 lets the system choose
    #[arg(long, env = "WEIR_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDR")]
    pub listen: SocketAddr,
    /// Address of the operator's listener: probes
    #[arg(long, env = "WEIR_ADMIN_LISTEN", default_value = "127.0.0.1:9090", value_name = "ADDR")]
    pub admin_listen: SocketAddr,
}

/// A flow, and what an operator says about it.
#[derive(Debug, Args)]
pub struct FlowArgs {
    /// The flow folder, or its flow file
    pub flow: PathBuf,
    #[command(flatten)]
    pub connections: ConnectionArgs,
    /// A value that the entry of a flex flow is initialised with; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub init: Vec<(String, String)>,
    /// Variables for the flow and its connections, before those of the process and of the flow file
    #[arg(long, value_name = "NAME=VALUE", num_args = 1.., value_parser = name_and_value)]
    pub environment_variables: Vec<(String, String)>,
}

impl FlowArgs {
    /// A variable as the flow and its connections see it.
    pub fn variable(&self, name: &str) -> Option<String> {
        let given = self.environment_variables.iter().rev().find(|(given, _)| given == name);
        given.map(|(_, value)| value.clone()).filter(|value| !value.is_empty()).or_else(|| variable(name))
    }
}

/// Where connections come from.
#[derive(Debug, Args)]
pub struct ConnectionArgs {
    /// A connection file, or a folder of them; may be given several times
    #[arg(long = "connections", env = "WEIR_CONNECTIONS", value_delimiter = ':', value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

fn name_and_value(pair: &str) -> Result<(String, String), String> {
    let (name, value) = pair.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// What an operator says about every flow.
#[derive(Debug)]
pub struct Flows {
    pub components: component::Config,
    /// Wall time of a whole request; none: the host's own.
    pub timeout: Option<Duration>,
    /// Hosts that nodes may reach although they are not public: see [`HTTP_HOSTS`].
    pub http_hosts: Allowed,
}

/// Settings that come from the environment alone.
#[derive(Debug)]
pub struct Environment {
    pub telemetry: telemetry::Config,
    pub flows: Flows,
    pub images: images::Config,
    pub access: access::Config,
    pub build_info: String,
}

/// Reads a variable of the process environment; one that is empty or not UTF-8 counts as unset.
pub fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is the module that reads the environment")]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Environment {
    /// # Errors
    /// All variables that cannot be understood, one text each.
    pub fn read(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let read = (telemetry::Config::from_env(get), images(get), http_hosts(get), flow_timeout(get));
        let (telemetry, images, http_hosts, timeout) = match read {
            (Ok(telemetry), Ok(images), Ok(http_hosts), Ok(timeout)) => (telemetry, images, http_hosts, timeout),
            (telemetry, images, http_hosts, timeout) => {
                let others = [images.err(), http_hosts.err(), timeout.err()].into_iter().flatten();
                return Err(telemetry.err().into_iter().flatten().chain(others).collect());
            }
        };
        let flows = Flows { components: component::Config { cache_dir: cache_dir(get) }, timeout, http_hosts };
        let build_info = get(BUILD_INFO).unwrap_or_default();
        let variables = Variables(get);
        let mut reader = Reader::new(&variables);
        let access = access::Config::read(&mut reader);
        let (_, problems) = reader.finish();
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { telemetry, flows, images, access, build_info })
    }
}

/// Settings by the variables of an environment.
struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Source for Variables<'_> {
    fn given(&self, setting: &Setting) -> Option<Given> {
        let text = (self.0)(setting.variable)?;
        Some(Given { text, origin: Origin::Environment(setting.variable) })
    }
}

fn images(get: &dyn Fn(&str) -> Option<String>) -> Result<images::Config, String> {
    let hosts = get(IMAGE_HOSTS).map_or_else(|| Ok(images::Config::default()), |text| images::Config::parse(&text));
    hosts.map_err(|error| format!("{IMAGE_HOSTS}: {error}; or `none`, to fetch no images"))
}

fn http_hosts(get: &dyn Fn(&str) -> Option<String>) -> Result<Allowed, String> {
    let hosts = get(HTTP_HOSTS).map_or_else(|| Ok(Allowed::default()), |text| Allowed::parse(&text));
    hosts.map_err(|error| format!("{HTTP_HOSTS}: {error}"))
}

fn flow_timeout(get: &dyn Fn(&str) -> Option<String>) -> Result<Option<Duration>, String> {
    let Some(text) = get(LINE_TIMEOUT) else { return Ok(None) };
    let seconds = text.trim().parse::<u64>().ok().filter(|seconds| *seconds > 0);
    let problem = || format!("{LINE_TIMEOUT}: {text:?} is no time; write whole seconds, such as 300");
    seconds.map(|seconds| Some(Duration::from_secs(seconds))).ok_or_else(problem)
}

fn cache_dir(get: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    if let Some(dir) = get(CACHE_DIR) {
        return Some(dir.into());
    }
    let cache = get("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(PathBuf::from(get("HOME")?).join(".cache")));
    cache.map(|cache| cache.join("weir"))
}

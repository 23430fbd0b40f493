//! What the command line says: the arguments that several verbs share. Flags that stand for settings are layers of theirs.

use std::path::PathBuf;

use clap::Args;

use super::layers::Flag;

/// What `weir serve` and `weir config` are told on the command line.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// A flow folder or file, an Azure ML deployment file, or an endpoint file and the deployment files it sends traffic
    /// to. Default: $PROMPTFLOW_PROJECT_PATH, else the model in $AZUREML_MODEL_DIR, else this folder
    #[arg(value_name = "DIR_OR_FILE")]
    pub paths: Vec<PathBuf>,
    /// The folder of a model that a deployment file names as `azureml:NAME:VERSION`; may be given several times
    #[arg(long, value_name = "NAME=DIR", value_parser = name_and_value)]
    pub model: Vec<(String, String)>,
    #[command(flatten)]
    pub given: GivenArgs,
    /// Address of the public listener; port 0 lets the system choose
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Address of the operator's listener: probes
    #[arg(long, value_name = "ADDR")]
    pub admin_listen: Option<String>,
    /// Where what must outlive the process is kept, such as feedback that has not been delivered
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// Where settings come from beside the environment.
#[derive(Debug, Args)]
pub struct SettingArgs {
    /// A configuration file: settings by their names without WEIR_ and in lower case
    #[arg(long, env = "WEIR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Any setting, by the name it has in a configuration file; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub set: Vec<(String, String)>,
}

/// A flow, and what an operator says about it.
#[derive(Debug, Args)]
pub struct FlowArgs {
    /// The flow folder, or its flow file
    pub flow: PathBuf,
    #[command(flatten)]
    pub given: GivenArgs,
}

/// What an operator gives flows to run with.
#[derive(Clone, Debug, Default, Args)]
pub struct GivenArgs {
    /// A connection file, or a folder of them; may be given several times
    #[arg(long, value_delimiter = ':', value_name = "PATH")]
    pub connections: Vec<String>,
    /// A file that says what flows may ask for at most
    #[arg(long, value_name = "FILE")]
    pub policy: Option<String>,
    /// A value that the entry of a flex flow is initialised with; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub init: Vec<(String, String)>,
    /// Variables for flows and their connections, before those of the process and of the flow file
    #[arg(long, value_name = "NAME=VALUE", num_args = 1.., value_parser = name_and_value)]
    pub environment_variables: Vec<(String, String)>,
}

impl ServeArgs {
    /// The flags that stand for settings.
    pub fn flags(&self) -> Vec<Flag> {
        let named = [
            ("WEIR_LISTEN", "--listen", &self.listen),
            ("WEIR_ADMIN_LISTEN", "--admin-listen", &self.admin_listen),
            ("WEIR_DATA_DIR", "--data-dir", &self.data_dir),
        ];
        let given =
            named.into_iter().filter_map(|(variable, flag, text)| Some(Flag::new(variable, flag, text.clone()?)));
        given.chain(self.given.flags()).chain(self.settings.flags()).collect()
    }
}

impl GivenArgs {
    pub fn flags(&self) -> Vec<Flag> {
        let paths = (!self.connections.is_empty()).then(|| self.connections.join(":"));
        let paths = paths.map(|paths| Flag::new("WEIR_CONNECTIONS", "--connections", paths));
        let policy = self.policy.clone().map(|path| Flag::new("WEIR_POLICY", "--policy", path));
        paths.into_iter().chain(policy).collect()
    }
}

impl SettingArgs {
    pub fn flags(&self) -> Vec<Flag> {
        // The last of two counts, as with flags of other programs.
        self.set.iter().rev().map(|(key, text)| Flag::set(key, text)).collect()
    }
}

fn name_and_value(pair: &str) -> Result<(String, String), String> {
    let (name, value) = pair.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

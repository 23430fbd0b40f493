//! What Azure's and prompt flow's own variables say of what is served, where the command line does not.

use std::fs;
use std::path::PathBuf;

/// Where the original looks for a flow: its own variable, then the model that Azure ML mounts, then here.
pub(super) fn usual(env: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    let named = env("PROMPTFLOW_PROJECT_PATH").or_else(|| env("PF_PROJECT_PATH")).map(PathBuf::from);
    let mounted = || {
        let entries = fs::read_dir(env("AZUREML_MODEL_DIR")?).ok()?;
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).min()
    };
    named.or_else(mounted).unwrap_or_else(|| PathBuf::from("."))
}

/// Endpoint and deployment as an Azure deployment has them in its environment: `PRT_CONFIG_OVERRIDE`, or the resource's
/// id.
pub(super) fn names(env: &dyn Fn(&str) -> Option<String>) -> (Option<String>, Option<String>) {
    let overrides = env("PRT_CONFIG_OVERRIDE").unwrap_or_default();
    let overridden = |key: &str| {
        let mut pairs = overrides.split(',').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned())
    };
    let id = env("AML_DEPLOYMENT_RESOURCE_ID").unwrap_or_default();
    let part = |kind: &str| {
        let mut parts = id.split('/').skip_while(|part| !part.eq_ignore_ascii_case(kind)).skip(1);
        parts.next().filter(|part| !part.is_empty()).map(str::to_owned)
    };
    (
        overridden("deployment.endpoint_name").or_else(|| part("onlineEndpoints")),
        overridden("deployment.deployment_name").or_else(|| part("deployments")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_the_names_that_the_environment_gives_it() {
        let check = |variable: &str, value: &str| names(&|name| (name == variable).then(|| value.to_owned()));
        let both = (Some("chat".to_owned()), Some("blue".to_owned()));
        let overrides = "deployment.workspace_name=w,deployment.endpoint_name=chat, deployment.deployment_name=blue";
        assert_eq!(check("PRT_CONFIG_OVERRIDE", overrides), both);
        let id = "/subscriptions/s/resourceGroups/g/providers/p/workspaces/w/onlineEndpoints/chat/deployments/blue";
        assert_eq!(check("AML_DEPLOYMENT_RESOURCE_ID", id), both);
        assert_eq!(check("OTHER", "x"), (None, None));
    }
}

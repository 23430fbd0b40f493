//! What the plugins share that ask a model's service: which model a node means, and what a failure of the service is
//! called. Not asking it: that is the SDK's.

mod failure;

pub use failure::as_prompt_flow;

/// The names by which a node says which model it means. Flow files often give both, each for the service it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// Type of the connection, such as `azure_open_ai`; none if it is not known.
    pub service: Option<&'a str>,
    /// For Azure OpenAI. Empty if it is not given.
    pub deployment: &'a str,
    /// For all others. Empty if it is not given.
    pub model: &'a str,
}

impl<'a> Named<'a> {
    /// The name for this service; empty if none is given for it.
    pub fn name(self) -> &'a str {
        match self.service {
            Some("azure_open_ai") => self.deployment,
            Some("open_ai" | "serverless") => self.model,
            _ if self.deployment.is_empty() => self.model,
            _ => self.deployment,
        }
    }

    /// Whether the service is Azure OpenAI. Where it is not known, naming a deployment says so.
    pub fn is_azure(self) -> bool {
        self.service.map_or(!self.deployment.is_empty(), |service| service == "azure_open_ai")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(service: Option<&str>, deployment: &str, model: &str, name: &str, is_azure: bool) {
        let named = Named { service, deployment, model };
        assert_eq!((named.name(), named.is_azure()), (name, is_azure));
    }

    #[test]
    fn of_two_names_the_services_own_counts() {
        check(Some("azure_open_ai"), "d", "m", "d", true);
        check(Some("open_ai"), "d", "m", "m", false);
        check(Some("serverless"), "d", "", "", false);
        check(Some("offline"), "", "m", "m", false);
    }

    #[test]
    fn of_a_service_that_is_not_known_a_deployment_tells() {
        check(None, "d", "m", "d", true);
        check(None, "", "m", "m", false);
        check(None, "", "", "", false);
    }
}

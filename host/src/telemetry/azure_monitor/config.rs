//! Whether anything goes to Application Insights, to which resource, and what decided it.
//!
//! | linked resource | its flag | a key that Azure injects | connection string | it goes to |
//! | --- | --- | --- | --- | --- |
//! | given | on | any | any | the linked resource |
//! | any | any | given | any | that key's, at the connection string's endpoint if there is one |
//! | any | any | none | given | the connection string's |
//! | none | on | none | none | nowhere, which is told once: the deployment runs |
//! | any | off | none | none | nowhere |
//!
//! The first row is the article's rule: `app_insights_enabled: true` with a linked resource wins over the variable. The
//! second is how Azure itself follows it: for a deployment whose flag is on it injects the key of the resource that is
//! linked to the workspace, and to nobody else.

use super::connection::Connection;
use crate::identity::Identity;
use crate::setting::{self, Reader, Setting};

/// The flag. A deployment's `app_insights_enabled` is a value of this setting.
pub static ENABLED: Setting = Setting::new(
    "WEIR_APP_INSIGHTS_ENABLED",
    "false",
    "`true`: traces, metrics and logs go to the linked resource; a deployment's `app_insights_enabled`",
);
/// The linked resource. An endpoint's `properties.app_insights_connection_string` is a value of this setting.
pub static LINKED: Setting = Setting::secret(
    "WEIR_APP_INSIGHTS_CONNECTION_STRING",
    "no resource is linked",
    "connection string of the linked Application Insights resource",
);
static CONNECTION_STRING: Setting = Setting::secret(
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "nothing goes to Application Insights",
    "connection string of the resource that everything goes to, unless one is linked and enabled",
);
static AML_KEY: Setting = Setting::secret(
    "AML_APP_INSIGHTS_KEY",
    "none",
    "instrumentation key of the linked resource, as Azure ML injects it; wins over the connection string",
);
static KEY: Setting =
    Setting::secret("APPINSIGHTS_INSTRUMENTATIONKEY", "none", "likewise, as Azure's other services inject it");
static AUTHENTICATION: Setting = Setting::optional(
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "by the instrumentation key alone",
    "`Authorization=AAD` or `Authorization=AAD;ClientId=ID`: with tokens of Entra ID for the host's identity",
);
static NO_RESOURCE_METRIC: Setting = Setting::new(
    "APPLICATIONINSIGHTS_OPENTELEMETRY_RESOURCE_METRIC_DISABLED",
    "false",
    "`true`: the attributes of the resource are not sent with each batch, as a metric `_OTELRESOURCE_`",
);

/// What the settings say of Application Insights.
#[derive(Clone, Debug, Default)]
pub struct Config {
    decided: Decided,
    authentication: Option<Authentication>,
}

#[derive(Clone, Debug, Default)]
enum Decided {
    /// Nobody asks for it.
    #[default]
    Off,
    /// It is asked for, and there is no resource.
    Unlinked,
    On(Connected),
}

/// The resource that everything goes to.
#[derive(Clone, Debug)]
pub(in crate::telemetry) struct Connected {
    pub(super) connection: Connection,
    /// The variable that says which resource it is.
    pub(in crate::telemetry) variable: &'static str,
    /// By whose tokens; none: by the key alone.
    pub(super) identity: Option<Identity>,
    /// Whether `_OTELRESOURCE_` is sent.
    pub(super) resource_metric: bool,
}

/// That tokens are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Authentication {
    client_id: Option<String>,
}

impl Connected {
    /// Where everything goes, for people.
    pub(in crate::telemetry) fn address(&self) -> String {
        self.connection.shown()
    }
}

impl Config {
    /// Reads the settings. Tokens, if they are wanted, need [`Config::identify`] as well.
    pub(in crate::telemetry) fn read(reader: &mut Reader<'_>) -> Self {
        let enabled = reader.value(&ENABLED, truth);
        let linked = reader.optional(&LINKED, Connection::parse);
        let given = reader.optional(&CONNECTION_STRING, Connection::parse);
        let of_key = |text: &str| Connection::of_key(text, given.as_ref());
        let keys = [&AML_KEY, &KEY].map(|setting| reader.optional(setting, of_key).map(|it| (it, setting.variable)));
        let authentication = reader.optional(&AUTHENTICATION, authentication);
        let resource_metric = !reader.value(&NO_RESOURCE_METRIC, setting::only_true);

        let linked = linked.filter(|_| enabled).map(|it| (it, LINKED.variable));
        let given = given.clone().map(|it| (it, CONNECTION_STRING.variable));
        let decided = match linked.into_iter().chain(keys.into_iter().flatten()).chain(given).next() {
            Some((connection, variable)) => {
                Decided::On(Connected { connection, variable, identity: None, resource_metric })
            }
            None if enabled => Decided::Unlinked,
            None => Decided::Off,
        };
        if let (Decided::On(connected), Some(_)) = (&decided, &authentication)
            && !may_carry_tokens(&connected.connection)
        {
            let variable = AUTHENTICATION.variable;
            let problem = "tokens go over https alone, and the resource's endpoint is http";
            reader.complain(format!("{variable}: {problem}"));
        }
        Self { decided, authentication }
    }

    /// Says whose tokens there are, should any be wanted; `env` is the environment that decides it.
    pub fn identify(&mut self, env: &dyn Fn(&str) -> Option<String>) {
        if let (Decided::On(connected), Some(Authentication { client_id })) = (&mut self.decided, &self.authentication)
        {
            let named = |name: &str| client_id.clone().filter(|_| name == "AZURE_CLIENT_ID").or_else(|| env(name));
            connected.identity = Some(Identity::from_env(&named));
        }
    }

    /// The resource that everything goes to; none: nothing goes to Application Insights.
    pub(in crate::telemetry) fn connected(&self) -> Option<&Connected> {
        match &self.decided {
            Decided::On(connected) => Some(connected),
            Decided::Unlinked | Decided::Off => None,
        }
    }

    /// What is to be told once, if Application Insights was asked for in vain.
    pub(in crate::telemetry) fn unlinked(&self) -> Option<String> {
        matches!(self.decided, Decided::Unlinked).then(|| {
            format!(
                "app_insights_enabled is true, and no Application Insights resource is linked: nothing is sent there; link \
                 one by {}, or set {}",
                LINKED.variable, CONNECTION_STRING.variable
            )
        })
    }
}

/// Whoever reads a token on its way may use it: it goes over TLS, or stays on this machine.
fn may_carry_tokens(connection: &Connection) -> bool {
    let url = &connection.endpoint;
    url.scheme() == "https" || matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"))
}

fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}

fn authentication(text: &str) -> Result<Authentication, String> {
    let expected = || "must be `Authorization=AAD` or `Authorization=AAD;ClientId=ID`".to_owned();
    let (mut by_token, mut client_id) = (false, None);
    for part in text.split(';').filter(|part| !part.trim().is_empty()) {
        let (key, value) = part.split_once('=').ok_or_else(expected)?;
        match (key.trim().to_ascii_lowercase().as_str(), value.trim()) {
            ("authorization", value) if value.eq_ignore_ascii_case("aad") => by_token = true,
            ("clientid", value) if !value.is_empty() => client_id = Some(value.to_owned()),
            _ => return Err(expected()),
        }
    }
    if by_token { Ok(Authentication { client_id }) } else { Err(expected()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::Variables;

    const LINKED_KEY: &str = "InstrumentationKey=aaaaaaaa-0000-0000-0000-000000000000;IngestionEndpoint=http://linked";
    const GIVEN_KEY: &str = "InstrumentationKey=bbbbbbbb-0000-0000-0000-000000000000;IngestionEndpoint=http://given";
    const INJECTED: &str = "cccccccc-0000-0000-0000-000000000000";

    fn read(env: &[(&str, &str)]) -> (Config, Vec<String>) {
        let variables =
            Variables(|name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()));
        let mut reader = Reader::new(&variables);
        let config = Config::read(&mut reader);
        (config, reader.finish().1)
    }

    /// First digit of the key, host, and what decided it.
    #[track_caller]
    fn goes_to(env: &[(&str, &str)], expected: Option<(&str, &str, &str)>) {
        let (config, problems) = read(env);
        assert_eq!(problems, Vec::<String>::new(), "{env:?}");
        let found = config.connected().map(|it| {
            let key = it.connection.key.expose()[..1].to_owned();
            (key, it.connection.endpoint.host_str().unwrap_or_default().to_owned(), it.variable)
        });
        let expected = expected.map(|(key, host, variable)| (key.to_owned(), host.to_owned(), variable));
        assert_eq!(found, expected, "{env:?}");
    }

    #[test]
    fn the_article_says_who_wins() {
        let (on, off) = ((ENABLED.variable, "true"), (ENABLED.variable, "false"));
        let (linked, given) = ((LINKED.variable, LINKED_KEY), (CONNECTION_STRING.variable, GIVEN_KEY));
        let (aml, key) = ((AML_KEY.variable, INJECTED), (KEY.variable, "dddddddd-0000-0000-0000-000000000000"));
        let to_linked = Some(("a", "linked", LINKED.variable));
        let to_given = Some(("b", "given", CONNECTION_STRING.variable));
        goes_to(&[], None);
        goes_to(&[on], None);
        goes_to(&[linked], None);
        goes_to(&[off, linked], None);
        goes_to(&[given], to_given);
        goes_to(&[on, given], to_given);
        goes_to(&[linked, given], to_given);
        goes_to(&[on, linked], to_linked);
        goes_to(&[on, linked, given], to_linked);
        goes_to(&[on, linked, given, aml, key], to_linked);
        goes_to(&[aml], Some(("c", "dc.services.visualstudio.com", AML_KEY.variable)));
        goes_to(&[aml, given], Some(("c", "given", AML_KEY.variable)));
        goes_to(&[key, given, linked], Some(("d", "given", KEY.variable)));
        goes_to(&[key, aml], Some(("c", "dc.services.visualstudio.com", AML_KEY.variable)));
    }

    #[test]
    fn a_flag_without_a_resource_is_told_of_and_nothing_else_is() {
        let told = "app_insights_enabled is true, and no Application Insights resource is linked: nothing is sent there; link \
                    one by WEIR_APP_INSIGHTS_CONNECTION_STRING, or set APPLICATIONINSIGHTS_CONNECTION_STRING";
        assert_eq!(read(&[(ENABLED.variable, "TRUE")]).0.unlinked().as_deref(), Some(told));
        for env in [&[][..], &[(ENABLED.variable, "true"), (CONNECTION_STRING.variable, GIVEN_KEY)]] {
            assert_eq!(read(env).0.unlinked(), None);
        }
    }

    #[test]
    fn tokens_are_asked_for_where_they_are_safe() {
        let given = |endpoint: &str| format!("InstrumentationKey={INJECTED};IngestionEndpoint={endpoint}");
        for (endpoint, text, fine) in [
            ("https://x", "Authorization=AAD", true),
            ("http://127.0.0.1:9", "authorization=aad;ClientId=7", true),
            ("http://x", "Authorization=AAD", false),
            ("https://x", "Authorization=ikey", false),
            ("https://x", "ClientId=7", false),
            ("https://x", "AAD", false),
        ] {
            let (mut config, problems) =
                read(&[(CONNECTION_STRING.variable, &given(endpoint)), (AUTHENTICATION.variable, text)]);
            assert_eq!(problems.is_empty(), fine, "{endpoint} {text} {problems:?}");
            config.identify(&|_| None);
            let identified = config.connected().is_some_and(|it| it.identity.is_some());
            assert_eq!(identified, fine || endpoint == "http://x", "{endpoint} {text}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_without_a_key() {
        let (_, problems) = read(&[
            (ENABLED.variable, "yes"),
            (LINKED.variable, "InstrumentationKey=my-secret-key"),
            (CONNECTION_STRING.variable, "my-secret-key"),
            (AML_KEY.variable, "my-secret-key"),
            (AUTHENTICATION.variable, "my-secret-key"),
        ]);
        let uuid = "the instrumentation key must be a UUID: 00000000-0000-0000-0000-000000000000";
        assert_eq!(
            problems,
            [
                "WEIR_APP_INSIGHTS_ENABLED: \"yes\" is neither true nor false".to_owned(),
                format!("WEIR_APP_INSIGHTS_CONNECTION_STRING: {uuid}"),
                "APPLICATIONINSIGHTS_CONNECTION_STRING: part 1 has no `=`; write KEY=VALUE;KEY=VALUE; `InstrumentationKey` is \
                 missing; copy the connection string from the resource's overview in Azure's portal"
                    .to_owned(),
                format!("AML_APP_INSIGHTS_KEY: {uuid}"),
                "APPLICATIONINSIGHTS_AUTHENTICATION_STRING: must be `Authorization=AAD` or `Authorization=AAD;ClientId=ID`"
                    .to_owned(),
            ]
        );
    }
}

//! Every place that gives tokens, as a scripted service: what it is asked, and what is made of its answers.

use std::fs;

use super::*;
use crate::capability::llm::openai::tests::scripted::{Request, Scripted, answer};

const SCOPE: &str = "https://cognitiveservices.azure.com/.default";
const RESOURCE: &str = "https%3A%2F%2Fcognitiveservices.azure.com";

fn identity(variables: &[(&str, &str)]) -> Identity {
    Identity::from_env(&|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
}

fn token(text: &str, expires_in: &str) -> crate::capability::llm::openai::tests::scripted::Move {
    answer(200, "", &format!(r#"{{"access_token": "{text}", "expires_in": {expires_in}, "token_type": "Bearer"}}"#))
}

/// What a service was asked by an identity of these variables, in which `URL` stands for its address.
async fn asked(variables: &[(&str, &str)]) -> Request {
    let service = Scripted::start([token("t-1", "3600")]);
    let variables: Vec<_> =
        variables.iter().map(|(name, value)| (*name, value.replace("URL", &service.url()))).collect();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let given = identity(&variables).token(SCOPE).await;
    assert_eq!(given, Ok(Secret::new("t-1")));
    service.requests().await.remove(0)
}

#[tokio::test]
async fn the_services_beside_a_process_are_asked_as_each_wants_it() {
    let app = [("IDENTITY_ENDPOINT", "URL/msi/token"), ("IDENTITY_HEADER", "h-1"), ("MSI_ENDPOINT", "http://other")];
    let request = asked(&app).await;
    let target = format!("/msi/token?api-version=2019-08-01&resource={RESOURCE}");
    assert_eq!((request.target, request.headers["x-identity-header"].as_str()), (target, "h-1"));

    let learning = [("MSI_ENDPOINT", "URL/token"), ("MSI_SECRET", "s-1"), ("AZURE_CLIENT_ID", "id")];
    let request = asked(&learning).await;
    let target = format!("/token?api-version=2017-09-01&resource={RESOURCE}&clientid=id");
    assert_eq!((request.target, request.headers["secret"].as_str()), (target, "s-1"));

    let machine = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", "URL/"), ("AZURE_CLIENT_ID", "id"), ("IDENTITY_HEADER", "")];
    let request = asked(&machine).await;
    let target = format!("/metadata/identity/oauth2/token?api-version=2018-02-01&resource={RESOURCE}&client_id=id");
    assert_eq!((request.target, request.headers["metadata"].as_str()), (target, "true"));
}

#[tokio::test]
async fn entra_id_is_given_a_secret_or_the_token_of_the_cluster() {
    let authority = [("AZURE_AUTHORITY_HOST", "URL/"), ("AZURE_TENANT_ID", "my tenant"), ("AZURE_CLIENT_ID", "id")];
    let principal =
        [&authority[..], &[("AZURE_CLIENT_SECRET", "s&1"), ("AZURE_FEDERATED_TOKEN_FILE", "/none")]].concat();
    let request = asked(&principal).await;
    let common = format!("grant_type=client_credentials&client_id=id&scope={RESOURCE}%2F.default");
    assert_eq!(request.target, "/my%20tenant/oauth2/v2.0/token");
    assert_eq!(request.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(request.body, format!("{common}&client_secret=s%261"));

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    fs::write(&file, "jwt.of.the-cluster\n").expect("a file");
    let file = file.to_str().expect("a path of text");
    let workload = [&authority[..], &[("AZURE_FEDERATED_TOKEN_FILE", file), ("IDENTITY_ENDPOINT", "http://other")]];
    let request = asked(&workload.concat()).await;
    let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    let proof = format!("client_assertion_type={kind}&client_assertion=jwt.of.the-cluster");
    assert_eq!(request.body, format!("{common}&{proof}"));
}

/// How many requests two tokens in a row take, if the first answer is this.
async fn requests_for_two(first: &str) -> usize {
    let service = Scripted::start([answer(200, "", first), token("t-2", "3600")]);
    let identity = identity(&[("IDENTITY_ENDPOINT", &service.url()), ("IDENTITY_HEADER", "h")]);
    for _ in 0..2 {
        identity.token(SCOPE).await.expect("a token");
    }
    drop(identity);
    service.requests().await.len()
}

#[tokio::test]
async fn a_token_is_kept_until_five_minutes_before_its_end() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs();
    let on = |seconds: u64| format!(r#"{{"access_token": "t", "expires_on": "{}"}}"#, now + seconds);
    for (answer, requests) in [
        (r#"{"access_token": "t", "expires_in": 3600}"#.to_owned(), 1),
        (r#"{"access_token": "t", "expires_in": "3600", "expires_on": "0"}"#.to_owned(), 1),
        (r#"{"access_token": "t", "expires_in": 299}"#.to_owned(), 2),
        (r#"{"access_token": "t", "expires_on": "14.09.2026 12:00"}"#.to_owned(), 2),
        (on(3600), 1),
        (on(200), 2),
    ] {
        assert_eq!(requests_for_two(&answer).await, requests, "{answer}");
    }
}

#[tokio::test]
async fn those_who_wait_at_once_ask_once() {
    let service = Scripted::start([token("t-1", "3600"), token("t-2", "3600")]);
    let identity = identity(&[("IDENTITY_ENDPOINT", &service.url()), ("IDENTITY_HEADER", "h")]);
    let all = futures_util::future::join_all((0..5).map(|_| identity.token(SCOPE))).await;
    assert_eq!(all, vec![Ok(Secret::new("t-1")); 5]);
    assert_eq!(service.requests().await.len(), 1);
}

#[tokio::test]
async fn scopes_have_tokens_of_their_own() {
    let service = Scripted::start([token("t-1", "3600"), token("t-2", "3600")]);
    let identity = identity(&[("IDENTITY_ENDPOINT", &service.url()), ("IDENTITY_HEADER", "h")]);
    assert_eq!(identity.token(SCOPE).await, Ok(Secret::new("t-1")));
    assert_eq!(identity.token("https://monitor.azure.com/.default").await, Ok(Secret::new("t-2")));
    assert_eq!(identity.strike("t-1, t-2, t-3"), "******, ******, t-3");
    assert!(service.requests().await[1].target.ends_with("&resource=https%3A%2F%2Fmonitor.azure.com"));
}

#[tokio::test]
async fn a_token_that_still_holds_outlives_a_refusal() {
    let service = Scripted::start([token("t-1", "200"), answer(503, "", "")]);
    let identity = identity(&[("IDENTITY_ENDPOINT", &service.url()), ("IDENTITY_HEADER", "h")]);
    for _ in 0..2 {
        assert_eq!(identity.token(SCOPE).await, Ok(Secret::new("t-1")));
    }
    assert_eq!(service.requests().await.len(), 2);
}

#[tokio::test]
async fn a_refusal_says_who_was_asked_and_hides_the_rest() {
    let check = async |status: u16, body: &str, why: &str, may_pass: bool| {
        let service = Scripted::start([answer(status, "", body)]);
        let identity = identity(&[("IDENTITY_ENDPOINT", &service.url()), ("IDENTITY_HEADER", "sk-secret")]);
        let error = identity.token(SCOPE).await.expect_err("no token");
        assert!(!format!("{error:?} {identity:?}").contains("sk-secret"));
        let told = format!("no token from the managed identity (IDENTITY_ENDPOINT): {why}");
        assert_eq!((error.to_string(), error.may_pass), (told, may_pass));
    };
    let described = r#"{"error": "invalid_client", "error_description": "AADSTS7000215: the secret sk-secret is bad"}"#;
    check(401, described, "401 Unauthorized (AADSTS7000215)", false).await;
    check(400, r#"{"error": "unauthorized_client"}"#, "400 Bad Request (unauthorized_client)", false).await;
    check(400, r#"{"error": "sk-secret is bad"}"#, "400 Bad Request", false).await;
    check(503, "sk-secret", "503 Service Unavailable", true).await;
    check(200, r#"{"token": "sk-secret"}"#, "the answer holds no token", false).await;
    check(200, &" ".repeat(65 * 1024), "the answer is too large", false).await;
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let gone = Scripted::start([]);
    let url = gone.url();
    assert_eq!(gone.requests().await, []);
    let check = async |variables: &[(&str, &str)], expected: &str| {
        let error = identity(variables).token(SCOPE).await.expect_err("no token").to_string();
        assert_eq!(error, format!("no token from {expected}"));
    };
    let machine = "the managed identity of the machine (no AZURE_CLIENT_SECRET, AZURE_FEDERATED_TOKEN_FILE, \
                   IDENTITY_ENDPOINT or MSI_ENDPOINT is set up): it could not be reached";
    check(&[("AZURE_POD_IDENTITY_AUTHORITY_HOST", &url)], machine).await;
    let workload =
        [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c"), ("AZURE_FEDERATED_TOKEN_FILE", "/no/such/file")];
    let no_file = "the workload identity (AZURE_CLIENT_ID, AZURE_FEDERATED_TOKEN_FILE): its file cannot be read: \
                   entity not found";
    check(&workload, no_file).await;
    let no_address = "the managed identity (MSI_ENDPOINT): its address is none; expected https://… or http://…";
    check(&[("MSI_ENDPOINT", "nowhere"), ("MSI_SECRET", "s")], no_address).await;
}

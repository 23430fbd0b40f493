//! Azure OpenAI that knows us by a token of the host's identity.

use super::*;

/// What a chat with Azure comes to that has a token of this service and no key, and the tokens with which Azure was asked.
async fn chat_by_identity(
    tokens: impl IntoIterator<Item = Move> + Send + 'static,
    replies: impl IntoIterator<Item = Move> + Send + 'static,
) -> (Result<ChatReply, CallError>, Vec<scripted::Request>) {
    let (tokens, service) = (Scripted::start(tokens), Scripted::start(replies));
    let (endpoint, base) = (tokens.url(), service.url());
    let identity = Identity::from_env(&|name| match name {
        "IDENTITY_ENDPOINT" => Some(endpoint.clone()),
        "IDENTITY_HEADER" => Some(KEY.to_owned()),
        _ => None,
    });
    let plain = [("api_base", base.as_str()), ("api_version", "v"), ("auth_mode", "meid_token")];
    let plain = plain.map(|(key, value)| (key, Field::Plain(value.to_owned())));
    let connection = Connection::new("c", "c.yaml", Kind::AzureOpenAi, plain);
    let backend = OpenAi::build(&connection, &identity, limits(), upstream()).expect("a backend");
    let result = backend.chat(request("m"), outbound()).await;
    (result, service.requests().await)
}

const TOKEN: &str = r#"{"access_token": "t-secret", "expires_in": 3600}"#;

#[tokio::test]
async fn a_token_is_sent_in_place_of_a_key() {
    let (result, requests) = chat_by_identity([answer(200, "", TOKEN)], [answer(200, "", REPLY)]).await;
    assert_eq!(result, Ok(reply()));
    assert_eq!(requests[0].headers["authorization"], "Bearer t-secret");
    assert!(!requests[0].headers.contains_key("api-key"));
}

#[tokio::test]
async fn a_token_that_the_service_quotes_is_struck() {
    let refusal = answer(401, "", r#"{"error": {"message": "t-secret is bad"}}"#);
    let (result, _) = chat_by_identity([answer(200, "", TOKEN)], [refusal]).await;
    let message = "OpenAI API hits AuthenticationError: Error code: 401 - ****** is bad";
    assert_eq!(result, Err(error(CallErrorKind::Unauthenticated, 401, message)));
}

#[tokio::test]
async fn a_token_is_asked_for_again_if_that_may_help() {
    let tokens = [answer(503, "", ""), answer(200, "", TOKEN)];
    let (result, requests) = chat_by_identity(tokens, [answer(200, "", REPLY)]).await;
    assert_eq!((result, requests.len()), (Ok(reply()), 1));

    let (result, requests) = chat_by_identity([answer(400, "", r#"{"error": "no_identity"}"#)], []).await;
    let message = "OpenAI API hits AuthenticationError: connection \"c\": no token from the managed identity \
                   (IDENTITY_ENDPOINT): 400 Bad Request (no_identity)";
    assert_eq!(result, Err(error(CallErrorKind::Unauthenticated, None, message)));
    assert_eq!(requests, []);
}

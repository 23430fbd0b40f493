//! Guests that break the contract of components, as no compiler lets a program do it: the texts of `tests/guests/wat`.

use harness::Hostile;

#[tokio::test]
async fn text_that_is_not_utf_8() {
    let message = "node \"bad\" passed text that is not UTF-8";
    Hostile::guest("run_returns_invalid_text").ends(500, "GuestProtocolError", message).await;
}

//! Guests that break the contract of components, as no compiler lets a program do it: the texts of `tests/guests/wat`.

use harness::Hostile;
use serde_json::json;

/// One test for each guest, whose runs end as a broken contract of this kind.
macro_rules! broken {
    ($($guest:ident: $how:expr)+) => {
        $(
            #[tokio::test]
            async fn $guest() {
                let message = format!("node \"bad\" {}", $how);
                Hostile::guest(stringify!($guest)).ends(500, "GuestProtocolError", &message).await;
            }
        )+
    };
}

const NOT_UTF_8: &str = "passed text that is not UTF-8";
const NOT_ITS_TYPE: &str = "passed a value that is not what its type says";

broken! {
    run_returns_invalid_text: NOT_UTF_8
    run_returns_surrogate: NOT_UTF_8
    run_returns_nul: "returned text that is not JSON: control character (\\u0000-\\u001F) found while parsing a string at line 1 column 2"
    run_returns_nan: "returned text that is not JSON: expected value at line 1 column 6; JSON has neither NaN nor Infinity: return null in their place"
    run_returns_nothing: "returned text that is not JSON: EOF while parsing a value at line 1 column 0"
    run_returns_outside: NOT_ITS_TYPE
    run_returns_endless: NOT_ITS_TYPE
    run_returns_nowhere: NOT_ITS_TYPE
    run_returns_unaligned: NOT_ITS_TYPE
    run_returns_no_case: NOT_ITS_TYPE
    run_returns_no_output: NOT_ITS_TYPE
    run_returns_forged_handle: NOT_ITS_TYPE
    realloc_outside: NOT_ITS_TYPE
    text_utf16_broken: NOT_ITS_TYPE
    text_utf16_odd: NOT_ITS_TYPE
}

#[tokio::test]
async fn a_handle_is_used_once_and_until_its_end_and_for_what_it_is_of() {
    for how in ["drops twice", "asks after its end", "reads an alarm"] {
        let bad = Hostile::guest_with("handles_misuses", &format!("inputs: {{how: {how}}}"));
        bad.ends(500, "GuestProtocolError", &format!("node \"bad\" {NOT_ITS_TYPE}")).await;
    }
}

#[tokio::test]
async fn members_that_are_named_twice_are_read_as_clients_read_them() {
    Hostile::guest("run_returns_twice_named").gives(json!({"b": 3, "a": 2})).await;
}

#[tokio::test]
async fn text_in_utf_16_crosses_as_it_is() {
    Hostile::guest("text_utf16").gives(json!("ė😀")).await;
}

#[tokio::test]
async fn text_in_latin_1_crosses_as_it_is() {
    Hostile::guest("text_latin1").gives(json!("é")).await;
}

#[tokio::test]
async fn an_import_that_nobody_serves_is_no_fault_until_it_is_called() {
    Hostile::guest("import_has_unknown").gives(json!(1)).await;
    let message = "the node called \"open\" of acme:things/secret@1.0.0, which this host does not serve";
    Hostile::guest("import_calls_unknown").ends(500, "NodeSystemError", message).await;
}

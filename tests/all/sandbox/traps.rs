//! Guests that end themselves: whatever way they find, and whenever, it is their own run that ends.

use harness::Hostile;
use serde_json::json;

const TRAPPED: &str = "node \"bad\" trapped";
const TOO_LONG: &str =
    "node \"bad\" did not finish within 300ms; raise `limits.timeout` of the node if it may take longer";

/// One test for each guest, whose runs count as a trap of this kind.
macro_rules! traps {
    ($($guest:ident: $kind:literal)+) => {
        $(
            #[tokio::test]
            async fn $guest() {
                Hostile::guest(stringify!($guest)).trap($kind).ends(500, "GuestTrap", TRAPPED).await;
            }
        )+
    };
}

traps! {
    run_traps: "unreachable"
    trap_unreachable: "unreachable"
    trap_reads_outside: "memory_out_of_bounds"
    trap_divides_by_zero: "integer_division_by_zero"
    trap_overflows: "integer_overflow"
    trap_calls_null: "indirect_call_to_null"
    trap_calls_outside: "table_out_of_bounds"
    trap_calls_another_type: "bad_signature"
    trap_converts: "bad_conversion_to_integer"
    trap_poses_by_name: "unreachable"
    start_traps: "unreachable"
    realloc_traps: "unreachable"
    realloc_calls_host: "cannot_leave_component"
    post_return_traps: "unreachable"
    post_return_emits: "cannot_leave_component"
}

/// One test for each guest that never comes to an end, in a place where no program of a language would be.
macro_rules! loops {
    ($($guest:ident)+) => {
        $(
            #[tokio::test]
            async fn $guest() {
                let bad = Hostile::guest_with(stringify!($guest), "limits: {timeout: 300ms}");
                bad.trap("timeout").ends(504, "NodeTimeout", TOO_LONG).await;
            }
        )+
    };
}

loops! {
    start_loops
    realloc_loops
    post_return_loops
}

#[tokio::test]
async fn a_node_that_exits_has_failed_whatever_its_status() {
    for status in [0, 1] {
        let bad = Hostile::guest_with("run_exits", &format!("inputs: {{status: {status}}}"));
        let message = "node \"bad\" exited instead of returning";
        bad.trap("exit").times(1).ends(500, "GuestTrap", message).await;
    }
}

#[tokio::test]
async fn what_a_panic_says_is_for_the_operator_alone() {
    let bad = Hostile::guest_with("run_traps", "inputs: {message: the canary sings}");
    let after = bad.ends(500, "GuestTrap", TRAPPED).await;
    assert!(!after.reply.text().contains("canary"), "{}", after.reply.text());
    let told = after.collector.logs().into_iter().filter(|log| log.body.to_string().contains("the canary sings"));
    assert_eq!(told.count(), after.runs, "each run's log has it");
}

#[tokio::test]
async fn a_component_that_says_nothing_of_use_about_itself_runs_all_the_same() {
    for (guest, warning) in [
        ("describe_traps", "`describe` failed"),
        ("describe_calls_host", "`describe` failed"),
        ("describe_loops", "`describe` did not answer within 1s"),
        ("describe_not_json", "`describe` answered text that is not JSON"),
        ("describe_huge", "`describe` answered more than the 1048576 bytes that it may"),
    ] {
        let after = Hostile::guest(guest).times(1).gives(json!(1)).await;
        assert!(after.exit.stderr.contains(warning), "{guest}: {}", after.exit.stderr);
    }
    Hostile::guest("describe_deep").times(1).gives(json!(1)).await;
}

#[tokio::test]
async fn a_component_that_lies_about_what_it_takes_fails_by_itself() {
    let bad = Hostile::guest_with("describe_lies", "inputs: {n: 3}");
    bad.trap("unreachable").ends(500, "GuestTrap", TRAPPED).await;
}

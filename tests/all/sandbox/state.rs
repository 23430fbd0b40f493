//! What a node leaves behind for the next one that gets its place in the pool: nothing.

use std::fmt::Write as _;

use futures_util::{StreamExt, stream};
use harness::TestHost;
use serde_json::{Map, Value, json};

/// Nodes of each kind in the flow. Together with the requests: 10,000 runs.
const EACH: usize = 5;
const REQUESTS: usize = 667;

/// How many requests there are at a time, so that slots of the pool change hands.
const AT_ONCE: usize = 4;

#[tokio::test]
async fn nothing_is_left_in_an_instance_for_the_next_run() {
    let mut flow = "inputs: {}\noutputs:\n".to_owned();
    let names: Vec<_> = (0..EACH).flat_map(|n| ["hides", "seeks", "counts"].map(|kind| format!("{kind}{n}"))).collect();
    for name in &names {
        writeln!(flow, "  {name}: {{type: object, reference: '${{{name}.output}}'}}").expect("a string takes all text");
    }
    flow.push_str("nodes:\n");
    for name in &names {
        let guest = format!("guests/state_{}.wasm", name.trim_end_matches(|c: char| c.is_ascii_digit()));
        writeln!(flow, "- {{name: {name}, type: wasm, source: {{type: code, path: {guest}}}}}").expect("likewise");
    }
    let host = TestHost::written("state", &flow).start().await;
    let expected = Value::Object(names.iter().map(|name| (name.clone(), json!(1))).collect::<Map<_, _>>());
    let ask = |_| async {
        host.score(json!({})).await.assert_ok(expected.clone());
    };
    stream::iter(0..REQUESTS).for_each_concurrent(AT_ONCE, ask).await;
    host.stop().await;
}

//! Clocks are as coarse as the operator says.

use harness::TestHost;
use serde_json::json;

#[tokio::test]
async fn clocks_of_nodes_are_as_coarse_as_the_operator_says() {
    let flow = "
inputs: {step: {type: int}}
outputs: {steps: {type: object, reference: '${clock.output}'}}
nodes:
- name: clock
  type: wasm
  source: {type: code, path: guests/clock_reads.wasm}
  inputs: {times: 3, step: '${inputs.step}'}
";
    for (setting, step) in [(None, 1_000_000_u64), (Some("30ms"), 30_000_000)] {
        let host = TestHost::written("clock", flow);
        let host = setting.into_iter().fold(host, |host, setting| host.env("WEIR_CLOCK_RESOLUTION", setting));
        let host = host.start().await;
        let steps = host.score(json!({"step": step})).await.json()["steps"].clone();
        for clock in ["monotonic", "wall"] {
            let smallest = steps[clock].as_u64().expect("a number");
            assert!(smallest >= step && smallest % step == 0, "{setting:?}: {steps}");
        }
        assert_eq!(steps["even"], true, "{steps}");
    }
}

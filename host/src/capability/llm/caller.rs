//! How a call introduces itself to a service of models, as prompt flow's do: in headers that Azure's services count by.
//!
//! Beside these it carries the trace. Other services than those of models are told nothing.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

use crate::boundary::Request;
use crate::id::FlowId;

/// Who asks.
const AGENT: HeaderName = HeaderName::from_static("x-ms-useragent");
/// For which flow and run: JSON.
const FLOW: HeaderName = HeaderName::from_static("ms-azure-ai-promptflow");
/// From which of prompt flow's tools. Sent to Azure OpenAI alone: see openai/endpoint.rs.
pub(super) const CALLED_FROM: (HeaderName, HeaderValue) =
    (HeaderName::from_static("ms-azure-ai-promptflow-called-from"), HeaderValue::from_static("aoai-tool"));

/// How prompt flow calls a run that is no batch's.
const RUN_MODE: &str = "Test";

/// Who calls. The same for all calls of a host.
#[derive(Clone, Debug)]
pub(super) struct Caller(HeaderValue);

impl Caller {
    /// weir itself, and what the operator has added.
    pub(super) fn new(agent: &[String]) -> Self {
        let own = concat!("weir/", env!("CARGO_PKG_VERSION"));
        let text = [own].into_iter().chain(agent.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
        Self(HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(own)))
    }

    /// Adds the headers of a call that a request makes.
    pub(super) fn introduce(&self, flow: &FlowId, request: &Request, headers: &mut HeaderMap) {
        headers.insert(AGENT, self.0.clone());
        let run = json!({
            "execution_target": request.target,
            "run_mode": RUN_MODE,
            "flow_id": flow.as_str(),
            "root_run_id": request.id.as_str(),
        });
        if let Ok(run) = HeaderValue::from_str(&ascii(&run.to_string())) {
            headers.insert(FLOW, run);
        }
    }
}

impl Default for Caller {
    fn default() -> Self {
        Self::new(&[])
    }
}

/// JSON without anything that a header may not have: what is not ASCII is escaped.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && !c.is_ascii_control() {
            text.push(c);
        } else {
            let mut units = [0; 2];
            text.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RequestId;

    #[test]
    fn a_call_says_who_asks_for_which_flow_and_run() {
        let caller = Caller::new(&["app/1.0".to_owned(), "more/2".to_owned()]);
        let request = Request { id: RequestId::new("r-1"), id_from_caller: true, target: "dag" };
        let mut headers = HeaderMap::new();
        caller.introduce(&FlowId::new("fl\u{f6}w \u{1f980}"), &request, &mut headers);
        assert_eq!(headers[AGENT], concat!("weir/", env!("CARGO_PKG_VERSION"), " app/1.0 more/2"));
        let expected =
            r#"{"execution_target":"dag","run_mode":"Test","flow_id":"fl\u00f6w \ud83e\udd80","root_run_id":"r-1"}"#;
        assert_eq!(headers[FLOW], expected);
    }
}

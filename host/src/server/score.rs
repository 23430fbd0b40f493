//! POST /score: the body becomes inputs, its images are loaded, the flow runs, its outputs become the reply.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;

use crate::flow::inputs::Inputs;
use crate::scheduler::outcome::Outcome;
use crate::scheduler::{Call, ReplyMode};
use crate::server::App;
use crate::server::edge::Arrived;
use crate::server::problem::Problem;
use crate::server::reply::{self, Accept};
use crate::telemetry::Usage;

pub(super) async fn score(
    State(app): State<Arc<App>>,
    Extension(arrived): Extension<Arrived>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let accept = Accept::of(&headers);
    let flow = &app.runner.flow;
    // Before anything has run, or been paid for.
    accept.check(!flow.stream_candidates().is_empty())?;
    app.admission.check()?;
    let body = app.bodies.score(&headers, body).await?;
    let inputs = Inputs::decode(flow, &body)?.find_images(flow)?;
    let permit = app.admission.enter().await?;
    let inputs = app.images.load(inputs).await?;
    let reply = if accept.stream { ReplyMode::Stream } else { ReplyMode::Whole };
    let call = Call {
        parent: arrived.span,
        request: arrived.id,
        request_from_caller: arrived.id_from_caller,
        reply,
        line: false,
        usage: Usage::default(),
    };
    match app.runner.run(inputs, call).await {
        Ok(Outcome::Whole(whole)) => {
            // The flow could have streamed, but this time it answered whole.
            accept.check(false)?;
            Ok(permit.hold(reply::whole(&whole.reply)))
        }
        Ok(Outcome::Streaming(streaming)) => Ok(permit.hold(reply::streamed(streaming))),
        Err(failure) => Err(Problem::from(&failure)),
    }
}

//! POST /score: the body becomes inputs, its images are loaded, the flow runs, its outputs become the reply.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::response::Response;
use http::HeaderMap;

use crate::flow::inputs::Inputs;
use crate::scheduler::outcome::Outcome;
use crate::scheduler::{Call, ReplyMode};
use crate::server::edge::Arrived;
use crate::server::problem::Problem;
use crate::server::reply::{self, Accept};
use crate::telemetry::Usage;

pub(super) async fn score(
    Extension(arrived): Extension<Arrived>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let accept = Accept::of(&headers);
    let Arrived { deployment, span, id, id_from_caller } = arrived;
    let flow = &deployment.runner.flow;
    // Before anything has run, or been paid for.
    accept.check(!flow.stream_candidates().is_empty())?;
    let inputs = deployment.images.load(Inputs::decode(flow, &body?)?.find_images(flow)?).await?;
    let reply = if accept.stream { ReplyMode::Stream } else { ReplyMode::Whole };
    let call = Call {
        parent: span,
        request: id,
        request_from_caller: id_from_caller,
        reply,
        line: false,
        usage: Usage::default(),
    };
    match deployment.runner.run(inputs, call).await {
        Ok(Outcome::Whole(whole)) => {
            // The flow could have streamed, but this time it answered whole.
            accept.check(false)?;
            Ok(reply::whole(&whole.reply))
        }
        Ok(Outcome::Streaming(streaming)) => Ok(reply::streamed(streaming)),
        Err(failure) => Err(Problem::from(&failure)),
    }
}

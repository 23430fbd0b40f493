//! POST /score: the body becomes inputs, its images are loaded, the flow runs, its outputs become the reply.

use axum::extract::Request;
use axum::response::Response;
use http::request::Parts;

use crate::flow::inputs::Inputs;
use crate::scheduler::outcome::Outcome;
use crate::scheduler::{Call, ReplyMode};
use crate::server::App;
use crate::server::edge::Arrived;
use crate::server::problem::Problem;
use crate::server::reply::{self, Accept, Form};
use crate::telemetry::Usage;

pub(super) async fn score(app: &App, request: Request) -> Result<Response, Problem> {
    let (Parts { headers, mut extensions, .. }, body) = request.into_parts();
    let arrived = extensions.remove::<Arrived>().expect("the edge put it there");
    let Arrived { deployment, span, id, id_from_caller, correlation } = arrived;
    let accept = Accept::of(&headers);
    let flow = &deployment.runner.flow;
    // Before anything has run, or been paid for.
    let form = accept.choose(!flow.stream_candidates().is_empty())?;
    app.pressure.check()?;
    deployment.admission.check()?;
    let body = app.bodies.score(&headers, body).await?;
    let inputs = Inputs::decode(flow, &body)?.find_images(flow)?;
    // Both hold on to what was read from the socket, and the flow may wait for a model.
    drop((headers, body));
    let permit = deployment.admission.enter().await?;
    let inputs = deployment.images.load(inputs).await?;
    let reply = match form {
        Form::Stream => ReplyMode::Stream,
        Form::Json => ReplyMode::Whole,
    };
    let call = Call {
        parent: span,
        request: id,
        request_from_caller: id_from_caller,
        reply,
        line: false,
        usage: Usage::default(),
    };
    let streamed = |streaming| reply::streamed(streaming, &accept, &correlation, app.config.replies.keep_alive);
    let reply = match deployment.runner.run(inputs, call).await {
        // The flow could have streamed, but this time it answered whole. A client that takes nothing but a stream has it
        // as one of a single event: the answer is there and paid for, so to refuse it would help nobody.
        Ok(Outcome::Whole(whole)) if !accept.takes_json() => streamed(whole.into()),
        Ok(Outcome::Whole(whole)) => reply::whole(&whole.reply),
        Ok(Outcome::Streaming(streaming)) => streamed(streaming),
        Err(failure) => return Err(app.config.upstream.of(Problem::from(&failure))),
    };
    Ok(permit.hold(reply))
}

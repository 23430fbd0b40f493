//! The adapter between `wasi:http` and [`Request`]: unpacks, calls, packs. Resources, headers and streams of guests are
//! wasmtime-wasi-http's affair.

use std::future::ready;

use futures_util::StreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use wasmtime::component::Linker;
use wasmtime_wasi_http::p2::bindings::LinkOptions;
use wasmtime_wasi_http::p2::bindings::http::{outgoing_handler, types};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttp, WasiHttpCtxView, WasiHttpHooks};

use super::client::{MAX_HEAD, Part};
use super::{Piece, Request};
use crate::boundary::error::{CallError, CallErrorKind};
use crate::boundary::{GuestCalls, Lend, NodeRun};

type Response = (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

pub(super) fn link<T: Lend>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    outgoing_handler::add_to_linker::<T, WasiHttp>(linker, view)?;
    types::add_to_linker::<T, WasiHttp>(linker, &LinkOptions::default().into(), view)
}

fn view<T: Lend>(state: &mut T) -> WasiHttpCtxView<'_> {
    let GuestCalls { run, table, http, .. } = state.lend();
    WasiHttpCtxView { hooks: run, table, ctx: http }
}

impl WasiHttpHooks for NodeRun {
    fn set_host_header(&mut self) -> bool {
        // The client sets it, from the URL that was checked.
        false
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Response, Error>> + Send> {
        let turn = self.requests.turn();
        let (beyond, max) = (turn.beyond, turn.bounds.body);
        let request = Request::new(request, options.unwrap_or_default(), turn);
        let exceeded = request.exceeded.clone();
        let reply = self.start(request);
        Box::new(async move {
            let error = move |failed: CallError| error(&failed, max, exceeded.part());
            let refused = |failed| if beyond { Error::ConnectionLimitReached } else { error(failed) };
            let mut pieces = reply.await.map_err(refused)?;
            let head = match pieces.next().await {
                Some(Ok(Piece::Head(head))) => head,
                Some(Err(failed)) => return Err(error(failed)),
                Some(Ok(Piece::Body(_) | Piece::Trailers(_))) | None => return Err(Error::HttpProtocolError),
            };
            let body =
                StreamBody::new(pieces.filter_map(move |piece| ready(piece.map_err(&error).map(frame).transpose())));
            let done: Box<dyn Future<Output = _> + Send> = Box::new(async { Ok(()) });
            Ok((http::Response::from_parts(head, body.boxed_unsync()), done))
        })
    }
}

fn frame(piece: Piece) -> Option<Frame<bytes::Bytes>> {
    match piece {
        // It came before.
        Piece::Head(_) => None,
        Piece::Body(bytes) => Some(Frame::data(bytes)),
        Piece::Trailers(trailers) => Some(Frame::trailers(trailers)),
    }
}

/// What a guest sees of a failure, whose bodies may have `max` bytes. `wasi:http` has no place for the message, which is on
/// the span.
fn error(error: &CallError, max: usize, exceeded: Option<Part>) -> Error {
    let max = u64::try_from(max).ok();
    match error.kind {
        CallErrorKind::NotGranted => Error::HttpRequestDenied,
        CallErrorKind::NotFound => Error::DestinationNotFound,
        CallErrorKind::InvalidRequest => Error::HttpRequestUriInvalid,
        CallErrorKind::Unavailable | CallErrorKind::Unauthenticated => Error::DestinationUnavailable,
        CallErrorKind::Timeout => Error::HttpResponseTimeout,
        CallErrorKind::Cancelled => Error::ConnectionTerminated,
        CallErrorKind::Exhausted => match exceeded {
            Some(Part::RequestBody) => Error::HttpRequestBodySize(max),
            Some(Part::ResponseHead) => Error::HttpResponseHeaderSectionSize(u32::try_from(MAX_HEAD).ok()),
            Some(Part::ResponseBody) | None => Error::HttpResponseBodySize(max),
        },
        CallErrorKind::RateLimited | CallErrorKind::Rejected | CallErrorKind::Protocol => Error::HttpProtocolError,
        CallErrorKind::Internal => Error::InternalError(None),
    }
}

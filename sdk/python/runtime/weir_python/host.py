"""The host, as the rest of the runtime sees it: the only module that knows the bindings which componentize-py makes.

Calls that the host refuses raise `CallFailed`, whatever interface they belong to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from componentize_py_types import Err
from wit_world.exports import handler
from wit_world.imports import context, environment, llm, nodes, output, store, weir_flow_types

from . import environment as environment_of_build
from . import spans


class CallFailed(Exception):
    """The host did not do what was asked.

    `kind` is the name of a `call-error-kind` of the WIT, such as `not-granted`; `status` the HTTP status of the other
    side, where there is one.
    """

    def __init__(self, kind: str, status: int | None, message: str):
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.message = message


class ClientGone(Exception):
    """Nobody reads the stream any more, or it has reached its limit: the node is to stop."""


class NotYet(RuntimeError):
    """The host was asked while the component is built: by a module as it is imported."""

    def __init__(self) -> None:
        super().__init__("models, settings and other services are there in runs alone: ask for them inside a function")


def _in_a_run() -> None:
    """Raises NotYet. To ask the host in a build would end it without a word of why."""
    if environment_of_build.State.building:
        raise NotYet


def _failed(error: Err) -> CallFailed:
    value = error.value
    return CallFailed(value.kind.name.lower().replace("_", "-"), value.status, value.message)


# The run.


def variables() -> dict[str, str]:
    """The real environment of this run; `os.environ` may still be that of the build."""
    return dict(environment.get_environment())


def node_name() -> str:
    return context.current().node


def invocation():
    """What is known of this run: `flow`, `node`, `request_id`, `traceparent`, `streaming`, `remaining_ms`."""
    asks()
    return context.current()


def init() -> dict[str, Any]:
    """What the flow was initialised with."""
    _in_a_run()
    return json.loads(context.init() or "{}")


def emit(chunk: str) -> None:
    """Passes one chunk, JSON text, on towards the client."""
    try:
        output.emit(chunk)
    except Err as error:
        raise ClientGone(error.value.name.lower()) from None


def value(text: str):
    return handler.Output_Value(text)


def emitted():
    return handler.Output_Emitted()


def relayed(stream: Any):
    """The host passes the text of a model's stream on by itself."""
    return handler.Output_Relayed(llm.text(stream))


def node_error(code: str, message: str, user: bool) -> Err:
    """What a run raises to report its failure."""
    blame = weir_flow_types.Blame.USER if user else weir_flow_types.Blame.SYSTEM
    return Err(weir_flow_types.NodeError(blame=blame, code=code, message=message))


# Notes on the node's span.


def _attribute(given: Any):
    if isinstance(given, bool):
        return context.AttributeValue_Boolean(given)
    if isinstance(given, int) and -(2**63) <= given < 2**63:
        return context.AttributeValue_Integer(given)
    if isinstance(given, float):
        return context.AttributeValue_Double(given)
    return context.AttributeValue_Text(str(given))


def log_metric(name: str, number: float) -> None:
    if not environment_of_build.State.building:
        context.log_metric(name, number)


def set_attribute(key: str, given: Any) -> None:
    if not environment_of_build.State.building:
        context.set_attribute(key, _attribute(given))


def add_event(name: str, attributes: dict[str, Any]) -> None:
    if not environment_of_build.State.building:
        context.add_event(name, [(key, _attribute(given)) for key, given in attributes.items()])


# Spans below the node's: what they are for is in spans.py.

_KINDS = {
    "Function": context.SpanKind.FUNCTION,
    "Tool": context.SpanKind.TOOL,
    "LLM": context.SpanKind.LLM,
    "Embedding": context.SpanKind.EMBEDDING,
    "Retrieval": context.SpanKind.RETRIEVAL,
    "Flow": context.SpanKind.FLOW,
    "LangChain": context.SpanKind.LANG_CHAIN,
}


def start_span(name: str, kind: str, inputs: str) -> Any:
    """A span below the current one, which it is from now on. None: it is left out, as will be all others of this run."""
    return context.start_span(name, _KINDS.get(kind, context.SpanKind.FUNCTION), inputs)


def set_current_span(span: Any) -> None:
    """None: the node's own."""
    context.set_current_span(span)


def end_span(span: Any, output: str, iterated: bool) -> None:
    _end(span, context.SpanEnd_Iterated(output) if iterated else context.SpanEnd_Output(output))


def fail_span(span: Any, kind: str, message: str) -> None:
    _end(span, context.SpanEnd_Error(context.SpanError(kind, message)))


def _end(span: Any, how: Any) -> None:
    span.end(how)
    span.__exit__(None, None, None)


def asks() -> None:
    """Before anything that the host tells as a span: it shall be below that of the function which asks."""
    _in_a_run()
    spans.enter()


# Settings.


def setting(name: str) -> str | None:
    """A setting that the node was granted, such as `search.index`; none if there is none of that name."""
    _in_a_run()
    return store.get(name)


def settings() -> dict[str, str]:
    _in_a_run()
    return dict(store.get_all())


# Models.


def chat(connection: str, model: str, messages: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    """The service's answer, whole."""
    asks()
    request = llm.ChatRequest(connection, model, json.dumps(messages), json.dumps(parameters))
    try:
        reply = llm.chat(request)
    except Err as error:
        raise _failed(error) from None
    return json.loads(reply.raw)


def stream_chat(connection: str, model: str, messages: Any, parameters: dict[str, Any]):
    """A `chat-stream`, to be read with `deltas` or returned with `relayed`."""
    asks()
    request = llm.ChatRequest(connection, model, json.dumps(messages), json.dumps(parameters))
    try:
        return llm.stream_chat(request)
    except Err as error:
        raise _failed(error) from None


def deltas(stream: Any) -> Iterator[tuple[dict[str, Any], str | None]]:
    """The pieces of a streamed answer: each one's `delta` object, and why the model stopped if it is the last."""
    while True:
        try:
            piece = stream.next()
        except Err as error:
            raise _failed(error) from None
        if piece is None:
            return
        yield json.loads(piece.delta), piece.finish_reason


def usage_of(stream: Any) -> dict[str, int] | None:
    """What a streamed answer cost, once it has ended."""
    usage = stream.usage()
    return None if usage is None else usage_dict(usage)


def usage_dict(usage: Any) -> dict[str, int]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }


def cancel(stream: Any) -> None:
    """Drops a streamed answer, which cancels the request to the model."""
    stream.__exit__(None, None, None)


def complete(connection: str, model: str, prompt: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """The service's answer, whole."""
    asks()
    try:
        reply = llm.complete(llm.CompletionRequest(connection, model, prompt, json.dumps(parameters)))
    except Err as error:
        raise _failed(error) from None
    return json.loads(reply.raw)


def embed(connection: str, model: str, texts: list[str], parameters: dict[str, Any]):
    """The model, one vector for each text, and what it cost (none if the service does not say)."""
    asks()
    try:
        reply = llm.embed(llm.EmbeddingRequest(connection, model, texts, json.dumps(parameters)))
    except Err as error:
        raise _failed(error) from None
    return reply.model, reply.vectors, None if reply.usage is None else usage_dict(reply.usage)


# Other nodes.


def call_node(node: str, inputs: dict[str, Any]) -> Any:
    """Runs another node of the flow and gives its value."""
    asks()
    try:
        return json.loads(nodes.call(node, json.dumps(inputs)))
    except Err as error:
        refused = error.value
        inner = refused.value
        if isinstance(refused, nodes.NodesError_Failed):
            raise CallFailed(inner.code, None, inner.message) from None
        raise _failed(Err(inner)) from None

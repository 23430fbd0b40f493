"""`@trace`: a function of which each call is a span, below that of whoever calls it.

What a span of the function that a run is of would say is on the node's own span. A span ends with what the function gives, or
raises; of a generator with its last piece, and while the generator works what it asks of the host is below its span.
"""

import functools
import inspect
from collections.abc import AsyncIterator, Iterator

from weir_python import spans, telling

from .contracts.trace import TraceType


def start_trace(*, resource_attributes=None, collection=None, **kwargs):
    """Nothing: the host traces, and started before this node did."""


def trace(func=None, *, name=None):
    """Tells each call of a function, also of a generator and of an async one. With or without arguments."""
    if func is None:
        return functools.partial(trace, name=name)
    return traced(func, name=name)


def traced(func=None, *, args_to_ignore=None, trace_type=TraceType.FUNCTION, name=None):
    if func is None:
        return functools.partial(traced, args_to_ignore=args_to_ignore, trace_type=trace_type, name=name)
    told = _Function(func, args_to_ignore, trace_type, name)
    if inspect.iscoroutinefunction(func):

        @functools.wraps(func)
        async def wrapped(*args, **kwargs):
            span = told.started(args, kwargs)
            if span is None:
                return await func(*args, **kwargs)
            with _Failing(span), span.entered():
                result = await func(*args, **kwargs)
            return _watched(span, result)
    else:

        @functools.wraps(func)
        def wrapped(*args, **kwargs):
            span = told.started(args, kwargs)
            if span is None:
                return func(*args, **kwargs)
            with _Failing(span), span.entered():
                result = func(*args, **kwargs)
            return _watched(span, result)

    wrapped.__original_function = func
    return wrapped


_traced = traced


class _Function:
    """A function that is traced, as its spans tell it."""

    def __init__(self, func, args_to_ignore, trace_type, name):
        self._func = func
        self._ignored = frozenset(args_to_ignore or ())
        self._kind = trace_type.value if isinstance(trace_type, TraceType) else str(trace_type)
        self._name = name or _name_of(func, self._kind)
        self._parameters = None

    def started(self, args, kwargs):
        """The span of a call; none for the call that the run is, and for one that is left out."""
        if spans.is_of_the_node(self._func):
            return None
        return spans.start(self._name, self._kind, lambda: self._inputs(args, kwargs))

    def _inputs(self, args, kwargs):
        if self._parameters is None:
            try:
                self._parameters = list(inspect.signature(self._func).parameters)
            except (TypeError, ValueError):
                self._parameters = []
        return telling.inputs_of(self._parameters, args, kwargs, self._ignored)


def _name_of(func, kind):
    """A function's name in its module; of an object that can be called its class's."""
    func = func.func if isinstance(func, functools.partial) else func
    name = getattr(func, "__qualname__", None) or type(func).__qualname__
    name = name.removesuffix(".__call__")
    module = getattr(func, "__module__", None)
    return f"{module}.{name}" if kind in ("LLM", "Embedding") and module else name


class _Failing:
    """Ends a span with what is raised inside."""

    def __init__(self, span):
        self._span = span

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if error is not None:
            self._span.fail(error)
        return False


def _watched(span, result):
    """A result, which ends its span; of one that is read piece by piece, the end is the end of the span."""
    if hasattr(result, "take_unread"):
        # The host may pass it on by itself, and tells it on the span of the model, which is below.
        span.finish('"the stream of a model"', iterated=False)
        return result
    if isinstance(result, Iterator):
        return _iterated(span, result)
    if isinstance(result, AsyncIterator):
        return _iterated_async(span, result)
    span.finish(telling.text_of(result))
    return result


def _iterated(span, iterator):
    pieces, sent = [], None
    send = getattr(iterator, "send", None)
    try:
        while True:
            with span.entered():
                try:
                    piece = next(iterator) if sent is None or send is None else send(sent)
                except StopIteration as end:
                    span.finish(telling.text_of(pieces), iterated=True)
                    return end.value
            _keep(pieces, piece)
            sent = yield piece
    except GeneratorExit:
        # Whoever reads it has enough.
        if hasattr(iterator, "close"):
            with span.entered():
                iterator.close()
        span.finish(telling.text_of(pieces), iterated=True)
        raise
    except BaseException as error:
        span.fail(error)
        raise


async def _iterated_async(span, iterator):
    pieces = []
    try:
        while True:
            with span.entered():
                try:
                    piece = await iterator.__anext__()
                except StopAsyncIteration:
                    span.finish(telling.text_of(pieces), iterated=True)
                    return
            _keep(pieces, piece)
            yield piece
    except GeneratorExit:
        if hasattr(iterator, "aclose"):
            with span.entered():
                await iterator.aclose()
        span.finish(telling.text_of(pieces), iterated=True)
        raise
    except BaseException as error:
        span.fail(error)
        raise


def _keep(pieces, piece):
    if len(pieces) < telling.PIECES:
        pieces.append(piece)

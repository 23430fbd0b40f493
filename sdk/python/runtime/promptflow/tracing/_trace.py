"""`@trace`: a function of which each call is told to the host.

The host opens and ends the span of a node by itself and has, for now, nothing by which a guest opens spans below it. So
a call becomes an event of the node's span when it ends, and this module is the only place that knows. An event has

| attribute | is |
| --- | --- |
| `function` | the function, with its module |
| `span_type` | its kind, such as `Function` |
| `depth` | how many traced calls it is below, so that the order of events gives the tree back |
| `duration_ms` | how long it took, of a generator until it ended |
| `error.type` | the class of what it raised, if it did |

Arguments and results are left out: only the host knows whether content may be recorded.
"""

import asyncio
import functools
import inspect
import time
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar

from .contracts.trace import TraceType

#: How many traced calls the present one is below. The first is the node's own function, which has the node's span.
_depth = ContextVar("depth", default=0)


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
    if asyncio.iscoroutinefunction(func) or inspect.iscoroutinefunction(func):

        @functools.wraps(func)
        async def wrapped(*args, **kwargs):
            if _depth.get() == 0:
                token = _depth.set(1)
                try:
                    return await func(*args, **kwargs)
                finally:
                    _depth.reset(token)
            call = _Call(func, trace_type, name)
            with call:
                return call.watched(await func(*args, **kwargs))
    else:

        @functools.wraps(func)
        def wrapped(*args, **kwargs):
            if _depth.get() == 0:
                return _of_the_node(func, args, kwargs)
            call = _Call(func, trace_type, name)
            with call:
                return call.watched(func(*args, **kwargs))

    wrapped.__original_function = func
    return wrapped


_traced = traced


def _of_the_node(func, args, kwargs):
    """The node's own function: its call is the node's span."""
    token = _depth.set(1)
    try:
        return func(*args, **kwargs)
    finally:
        _depth.reset(token)


class _Call:
    def __init__(self, func, trace_type, name):
        function = func.func if isinstance(func, functools.partial) else func
        self.name = name or getattr(function, "__qualname__", repr(function))
        self.function = f"{getattr(function, '__module__', '')}.{self.name}"
        self.kind = trace_type.value if isinstance(trace_type, TraceType) else str(trace_type)
        self.iterates = False

    def __enter__(self):
        self.depth = _depth.get()
        self.began = time.perf_counter()
        self.token = _depth.set(self.depth + 1)
        return self

    def __exit__(self, kind, error, traceback):
        _depth.reset(self.token)
        if error is not None or not self.iterates:
            self.ended(error)
        return False

    def watched(self, result):
        """A result; of one that is read piece by piece, the end is the end of the call."""
        if hasattr(result, "take_unread"):
            return result
        if isinstance(result, Iterator):
            self.iterates = True
            return _iterated(self, result)
        if isinstance(result, AsyncIterator):
            self.iterates = True
            return _iterated_async(self, result)
        return result

    def ended(self, error):
        attributes = {
            "function": self.function,
            "span_type": self.kind,
            "depth": self.depth,
            "duration_ms": round((time.perf_counter() - self.began) * 1000, 3),
        }
        if error is not None:
            attributes["error.type"] = type(error).__name__
        from weir_python import host

        host.add_event(_key(f"trace {self.name}"), attributes)


#: What the host takes in the name of an event beside letters and digits.
_ALLOWED = frozenset(" _.-:/@%()[]+=<>#&")


def _key(name):
    return "".join(sign if (sign.isalnum() and sign.isascii()) or sign in _ALLOWED else "_" for sign in name)[:100]


def _iterated(call, iterator):
    try:
        yield from iterator
    except BaseException as error:
        call.ended(error)
        raise
    call.ended(None)


async def _iterated_async(call, iterator):
    try:
        async for item in iterator:
            yield item
    except BaseException as error:
        call.ended(error)
        raise
    call.ended(None)

"""Spans below the node's own: which of them the code that runs now is in.

Functions of asyncio and generators run by turns, so that the span that was started last need not be that of whoever asks
the host next. Python knows it, by a context variable; the host is told where it takes another one to be the current.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from . import environment

#: The span that the code that runs now is in; none: the node's own.
_inside: ContextVar[Span | None] = ContextVar("inside", default=None)


class _Run:
    """What is of one run."""

    #: Which run of this instance it is.
    number = 0
    #: The span that the host takes to be the current one.
    current: Span | None = None
    #: The host starts no more.
    full = False
    #: The node's own function, whose first call has the node's span.
    entry: Callable[..., Any] | None = None


class Span:
    """An open span. What it says of inputs and output is made by telling.py."""

    def __init__(self, handle: Any, above: Span | None):
        self._handle = handle
        self._above = above
        self._run = _Run.number

    @contextmanager
    def entered(self) -> Iterator[None]:
        """While code runs that is in it."""
        token = _inside.set(self)
        try:
            yield
        finally:
            _inside.reset(token)

    def finish(self, output: str, iterated: bool = False) -> None:
        from . import host

        if self._is_open():
            host.end_span(self._handle, output, iterated)
            self._ended()

    def fail(self, error: BaseException) -> None:
        from . import host

        if self._is_open():
            host.fail_span(self._handle, type(error).__name__, _message(error))
            self._ended()

    def _is_open(self) -> bool:
        """The end of an earlier run of this instance was the end of its spans."""
        return self._handle is not None and self._run == _Run.number

    def _ended(self) -> None:
        self._handle = None
        # As the host does by itself.
        _Run.current = _open(_Run.current)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return ""


def begin() -> None:
    """Forgets what an earlier run of this instance has left."""
    _Run.number += 1
    _Run.current, _Run.full, _Run.entry = None, False, None
    _inside.set(None)


def belongs_to_the_node(function: Callable[..., Any]) -> None:
    """The next call of this function is the run itself."""
    _Run.entry = function


def is_of_the_node(function: Callable[..., Any]) -> bool:
    """Whether this call of a function is the run itself; no further one is."""
    if _Run.entry is not function:
        return False
    _Run.entry = None
    return True


def start(name: str, kind: str, inputs: Callable[[], str]) -> Span | None:
    """A span below that of the code that runs now. None: it is left out."""
    if environment.State.building:
        return None
    from . import host

    enter()
    # It counts those that it leaves out.
    handle = host.start_span(_name(name), kind, "{}" if _Run.full else inputs())
    if handle is None:
        _Run.full = True
        return None
    _Run.current = Span(handle, _Run.current)
    return _Run.current


def enter() -> None:
    """Tells the host which span the code that runs now is in, if it takes it to be another one."""
    span = _open(_inside.get())
    if span is not _Run.current:
        from . import host

        host.set_current_span(None if span is None else span._handle)
        _Run.current = span


def _open(span: Span | None) -> Span | None:
    """This, or the nearest above it that is open."""
    while span is not None and not span._is_open():
        span = span._above
    return span


#: What the host takes in a name beside letters and digits.
_ALLOWED = frozenset(" _.-:/@%()[]+=<>#&")


def _name(text: str) -> str:
    name = "".join(sign if (sign.isalnum() and sign.isascii()) or sign in _ALLOWED else "_" for sign in text)[:100]
    return name if name.strip() else "_"

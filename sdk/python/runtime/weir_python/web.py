"""Requests over `wasi:http/outgoing-handler`: what every HTTP client of Python comes down to here.

The host lets through what `grants.http` of the node names; what it refuses fails as the connection would.
"""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

from componentize_py_types import Err, Ok
from wit_world.imports import outgoing_handler, streams
from wit_world.imports import wasi_http_types as http

from . import environment, spans
from .connections import PLACEHOLDER

#: Headers that belong to a connection, which is the host's.
_HOPS = frozenset(
    [
        "connection",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)

#: How much is read and written at a time, in bytes.
_PIECE = 64 * 1024

_METHODS = {
    name.upper(): getattr(http, f"Method_{name.capitalize()}")
    for name in ("get", "head", "post", "put", "delete", "connect", "options", "trace", "patch")
}


class RequestFailed(OSError):
    """A request that got no answer. `kind` is the name of an `error-code` of wasi:http, such as `DnsError`."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


class _Refused(RequestFailed, ConnectionRefusedError):
    pass


class _NoAddress(RequestFailed, socket.gaierror):
    pass


class _TooSlow(RequestFailed, TimeoutError):
    pass


class _Broken(RequestFailed, ConnectionError):
    pass


# In messages they are what whoever wrote the node knows.
for _kind in (_Refused, _NoAddress, _TooSlow, _Broken):
    _kind.__name__ = _kind.__qualname__ = _kind.__mro__[2].__name__


def _failure(code: Any, authority: str) -> RequestFailed:
    kind = type(code).__name__.removeprefix("ErrorCode_")
    said = getattr(code, "value", None)
    if kind == "HttpRequestDenied":
        return _Broken(
            kind,
            f"the host does not let this node send requests to {authority}: add its address, such as "
            f"https://{authority}, to `grants.http` of the node",
        )
    message = f"{authority}: {kind}" + (f" ({said})" if said is not None else "")
    if kind.startswith("Dns") or kind == "DestinationNotFound":
        return _NoAddress(kind, message)
    if "Timeout" in kind:
        return _TooSlow(kind, message)
    return (_Refused if kind == "ConnectionRefused" else _Broken)(kind, message)


class Reply:
    """An answer whose body is read as it comes."""

    def __init__(self, response: Any, authority: str):
        self.status: int = response.status()
        with response.headers() as fields:
            self.headers: list[tuple[str, str]] = [(name, value.decode("latin-1")) for name, value in fields.entries()]
        self._authority = authority
        self._response = response
        self._body = response.consume()
        self._stream = self._body.stream()

    def piece(self) -> bytes:
        """The next piece of the body; empty at its end. Waits for it."""
        while self._stream is not None:
            try:
                piece = self._stream.blocking_read(_PIECE)
            except Err as error:
                self._ended(error.value)
                break
            if piece:
                return piece
        return b""

    async def piece_soon(self, loop: Any) -> bytes:
        """The same, without holding up what else the event loop has to do."""
        while self._stream is not None:
            try:
                piece = self._stream.read(_PIECE)
            except Err as error:
                self._ended(error.value)
                break
            if piece:
                return piece
            await loop.wait_for(self._stream.subscribe())
        return b""

    def read(self) -> bytes:
        return b"".join(iter(self.piece, b""))

    def _ended(self, why: Any) -> None:
        code = None
        if isinstance(why, streams.StreamError_LastOperationFailed):
            code = http.http_error_code(why.value) or http.ErrorCode_HttpResponseIncomplete()
        self.close()
        if code is not None:
            raise _failure(code, self._authority)

    def close(self) -> None:
        for resource in (self._stream, self._body, self._response):
            if resource is not None:
                resource.__exit__(None, None, None)
        self._stream = self._body = self._response = None


def request(method: str, url: str, headers: Any, body: bytes, timeout: float | None = None) -> Reply:
    """Sends a request and waits for the head of its answer. Raises RequestFailed."""
    future, authority = _sent(method, url, headers, body, timeout)
    with future.subscribe() as pollable:
        pollable.block()
    return _answer(future, authority)


async def request_soon(loop: Any, method: str, url: str, headers: Any, body: bytes, timeout: float | None) -> Reply:
    """The same, without holding up what else the event loop has to do."""
    future, authority = _sent(method, url, headers, body, timeout)
    await loop.wait_for(future.subscribe())
    return _answer(future, authority)


def _answer(future: Any, authority: str) -> Reply:
    result = future.get()
    future.__exit__(None, None, None)
    inner = result.value if isinstance(result, Ok) else result
    if not isinstance(inner, Ok):
        raise _failure(inner.value, authority)
    return Reply(inner.value, authority)


def _sent(method: str, url: str, headers: Any, body: bytes, timeout: float | None):
    if environment.State.building:
        raise _Broken("NotYet", "there is no network while a component is built: send requests inside a function")
    parts = urlsplit(url)
    pairs = headers.items() if hasattr(headers, "items") else headers
    sent = [(name, str(value).encode("latin-1")) for name, value in pairs if _goes(name, value)]
    try:
        fields = http.Fields.from_list(sent)
    except Err as error:
        raise _Broken("HeaderError", f"{parts.netloc}: a header is not allowed: {error.value}") from None
    outgoing = http.OutgoingRequest(fields)
    outgoing.set_method(_METHODS[method.upper()]() if method.upper() in _METHODS else http.Method_Other(method))
    outgoing.set_scheme(http.Scheme_Https() if parts.scheme == "https" else http.Scheme_Http())
    authority = parts.netloc.rpartition("@")[2]
    try:
        outgoing.set_authority(authority)
        outgoing.set_path_with_query((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    except Err:
        raise _Broken("HttpRequestUriInvalid", f"{url!r} is no address") from None
    content = outgoing.body()
    spans.enter()
    try:
        future = outgoing_handler.handle(outgoing, _options(timeout))
    except Err as error:
        content.__exit__(None, None, None)
        raise _failure(error.value, authority) from None
    _write(content, body, authority)
    return future, authority


def _goes(name: str, value: Any) -> bool:
    return name.lower() not in _HOPS and PLACEHOLDER not in str(value)


def _options(timeout: float | None):
    if timeout is None:
        return None
    options, nanoseconds = http.RequestOptions(), int(timeout * 1e9)
    for setter in (options.set_connect_timeout, options.set_first_byte_timeout, options.set_between_bytes_timeout):
        try:
            setter(nanoseconds)
        except Err:
            # A host need not know it; its own limits hold.
            continue
    return options


def _write(content: Any, body: bytes, authority: str) -> None:
    if body:
        with content.write() as stream:
            try:
                _write_all(stream, body)
            except Err:
                # The other side has answered or gone before it had read all. Its answer tells.
                return
    try:
        http.OutgoingBody.finish(content, None)
    except Err as error:
        raise _failure(error.value, authority) from None


def _write_all(stream: Any, body: bytes) -> None:
    at = 0
    while at < len(body):
        room = stream.check_write()
        if room == 0:
            with stream.subscribe() as pollable:
                pollable.block()
            continue
        stream.write(body[at : at + room])
        at += min(room, len(body) - at)
    stream.blocking_flush()

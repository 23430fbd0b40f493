"""Sockets that speak HTTP/1.1 and nothing else: what a client writes is read as a request, sent over `wasi:http`, and
answered in the same form.

This is where `http.client`, urllib, urllib3 (and so requests) and httpcore (and so httpx) meet: each opens a socket,
writes a request and reads an answer. One stand-in serves them all, in whatever version a flow has.
"""

from __future__ import annotations

import errno
import io
import socket
from typing import Any

from . import web

_MAX_HEAD = 64 * 1024


class Pending:
    """A request while it is written."""

    def __init__(self) -> None:
        self.data = bytearray()

    def parsed(self) -> tuple[str, str, list[tuple[str, str]], bytes] | None:
        """Method, target, headers and body, once all of it is there."""
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            self._check_start()
            return None
        first, *lines = bytes(self.data[:end]).decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        known = {name.lower(): value for name, value in headers}
        rest = bytes(self.data[end + 4 :])
        if "chunked" in known.get("transfer-encoding", "").lower():
            body = _unchunked(rest)
        else:
            length = int(known.get("content-length") or 0)
            body = rest[:length] if len(rest) >= length else None
        return None if body is None else (method, target, headers, body)

    def _check_start(self) -> None:
        word = bytes(self.data[:16]).split(b" ")[0]
        if not self.data:
            return
        if len(self.data) > _MAX_HEAD or not word.isalpha() or not word.isupper():
            raise OSError(
                errno.EPROTONOSUPPORT,
                "only HTTP/1.1 is spoken inside a node of weir: there are no other connections",
            )


def _unchunked(data: bytes) -> bytes | None:
    """A body in chunks, put together; None while its end is not there."""
    body, at = bytearray(), 0
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        size = int(data[at:end].split(b";")[0] or b"0", 16)
        if size == 0:
            return bytes(body) if data.find(b"\r\n", end + 2) >= 0 else None
        if len(data) < end + 2 + size + 2:
            return None
        body += data[end + 2 : end + 2 + size]
        at = end + 2 + size + 2


def head_of(reply: web.Reply) -> bytes:
    """The head of an answer as HTTP/1.1. The connection ends with it: the host keeps its own."""
    import http.client

    reason = http.client.responses.get(reply.status, "")
    skipped = ("connection", "transfer-encoding", "keep-alive")
    lines = [f"{name}: {value}" for name, value in reply.headers if name.lower() not in skipped]
    return "\r\n".join([f"HTTP/1.1 {reply.status} {reason}", *lines, "Connection: close", "", ""]).encode("latin-1")


class Exchange:
    """Requests and answers of one socket."""

    def __init__(self) -> None:
        self.pending = Pending()
        self.unread = b""
        self.reply: web.Reply | None = None
        #: Why there is no answer: told to whoever reads it.
        self.failure: OSError | None = None

    def write(self, data: Any, sock: Socket) -> None:
        """Takes a piece of a request, and sends it once it is whole.

        What goes wrong before there is an answer is told here, since to a client it is a connection that failed; but
        for what does not come in time, of which clients expect to hear when they read.
        """
        self.pending.data += bytes(data)
        request = self.next()
        if request is None:
            return
        method, target, headers, body = request
        try:
            self.reply = web.request(method, self.url(target, headers, sock), headers, body, sock.gettimeout())
        except OSError as error:
            # Some clients go on to read after a failure to write, in case the other side has said why.
            self.failure = error
            if isinstance(error, TimeoutError):
                return
            raise
        self.unread = head_of(self.reply)

    def read(self, size: int) -> bytes:
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        if not self.unread and self.reply is not None:
            self.unread = self.reply.piece()
        taken, self.unread = self.unread[:size], self.unread[size:]
        return taken

    def url(self, target: str, headers: list[tuple[str, str]], sock: Socket) -> str:
        if target.startswith(("http://", "https://")):
            return target
        named = next((value for name, value in headers if name.lower() == "host"), None)
        return f"{'https' if sock.encrypted else 'http'}://{named or sock.authority}{target}"

    def next(self) -> tuple[str, str, list[tuple[str, str]], bytes] | None:
        """The request that waits to be sent."""
        parsed = self.pending.parsed()
        if parsed is not None:
            self.pending = Pending()
        return parsed


class Socket:
    """A socket as HTTP clients use one."""

    family, type, proto = socket.AF_INET, socket.SOCK_STREAM, 0

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: Any = None):
        self.encrypted = False
        self.authority = ""
        self._timeout: float | None = socket.getdefaulttimeout()
        self._exchange = Exchange()
        self._closed = False

    def connect(self, address: Any) -> None:
        host, port = address[0], address[1]
        self.authority = f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
        self._peer = (host, port)

    def connect_ex(self, address: Any) -> int:
        self.connect(address)
        return 0

    def send(self, data: Any, flags: int = 0) -> int:
        self._exchange.write(data, self)
        return len(data)

    def sendall(self, data: Any, flags: int = 0) -> None:
        self._exchange.write(data, self)

    def recv(self, size: int, flags: int = 0) -> bytes:
        return self._exchange.read(size)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        data = self.recv(nbytes or len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def makefile(self, mode: str = "r", buffering: int | None = None, **kwargs: Any) -> Any:
        file = io.BufferedReader(_Reader(self)) if "r" in mode else io.BufferedWriter(_Writer(self))
        return file if "b" in mode else io.TextIOWrapper(file, **kwargs)

    def settimeout(self, timeout: float | None) -> None:
        self._timeout = timeout

    def gettimeout(self) -> float | None:
        return self._timeout

    def setblocking(self, flag: bool) -> None:
        return None

    def setsockopt(self, *_: Any) -> None:
        return None

    def getsockopt(self, *_: Any) -> int:
        return 0

    def getpeername(self) -> Any:
        return self._peer

    def getsockname(self) -> Any:
        return ("0.0.0.0", 0)

    def getpeercert(self, binary_form: bool = False) -> Any:
        return b"" if binary_form else {}

    def selected_alpn_protocol(self) -> None:
        return None

    def version(self) -> str:
        return "TLSv1.3"

    def cipher(self) -> None:
        return None

    def unwrap(self) -> Socket:
        return self

    def pending(self) -> int:
        return len(self._exchange.unread)

    def fileno(self) -> int:
        return -1

    def detach(self) -> int:
        return -1

    def bind(self, *_: Any) -> None:
        return None

    def listen(self, *_: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, "a node of weir cannot serve: it is called by its flow")

    def shutdown(self, how: int) -> None:
        return None

    def close(self) -> None:
        if self._exchange.reply is not None and not self._closed and self._readers == 0:
            self._exchange.reply.close()
        self._closed = True

    _readers = 0

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class _Reader(io.RawIOBase):
    """The reading side of a socket as a file, which may be read after the socket was closed."""

    def __init__(self, sock: Socket):
        self._sock = sock
        sock._readers += 1

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._sock.recv_into(buffer)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._sock._readers -= 1
            reply = self._sock._exchange.reply
            if self._sock._closed and reply is not None:
                reply.close()


class _Writer(io.RawIOBase):
    def __init__(self, sock: Socket):
        self._sock = sock

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._sock.sendall(data)
        return len(data)


def create_connection(
    address: Any, timeout: Any = None, source_address: Any = None, *, all_errors: bool = False
) -> Socket:
    sock = Socket()
    # The module's own mark for "not given" is an object without meaning.
    sock.settimeout(timeout if isinstance(timeout, (int, float)) else None)
    sock.connect(address)
    return sock


def _getaddrinfo(host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> list:
    """The name itself: the host looks names up."""
    name = host.decode() if isinstance(host, bytes) else host
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (name, int(port or 0)))]


def install() -> None:
    socket.socket = socket.SocketType = Socket
    socket.create_connection = create_connection
    socket.getaddrinfo = _getaddrinfo
    socket.gethostbyname = lambda name: name
    socket.has_ipv6 = False

"""The asynchronous network of httpcore, and so of `httpx.AsyncClient`: requests that wait for their answers together."""

from __future__ import annotations

import asyncio
import ssl
import typing

from httpcore._backends.base import SOCKET_OPTION, AsyncNetworkBackend, AsyncNetworkStream
from httpcore._exceptions import ConnectError, ReadError, ReadTimeout, WriteError, WriteTimeout

from . import sockets, web


class Stream(AsyncNetworkStream):
    """A connection: see sockets.py, whose exchange it drives without blocking."""

    def __init__(self, host: str, port: int):
        self._socket = sockets.Socket()
        self._socket.connect((host, port))
        self._exchange = sockets.Exchange()

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        exchange = self._exchange
        exchange.pending.data += buffer
        request = exchange.next()
        if request is None:
            return
        method, target, headers, body = request
        url = exchange.url(target, headers, self._socket)
        try:
            exchange.reply = await web.request_soon(asyncio.get_running_loop(), method, url, headers, body, timeout)
        except TimeoutError as error:
            raise WriteTimeout(str(error)) from error
        except ConnectionError as error:
            raise ConnectError(str(error)) from error
        except OSError as error:
            raise WriteError(str(error)) from error
        exchange.unread = sockets.head_of(exchange.reply)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        exchange = self._exchange
        try:
            if not exchange.unread and exchange.reply is not None:
                exchange.unread = await exchange.reply.piece_soon(asyncio.get_running_loop())
        except TimeoutError as error:
            raise ReadTimeout(str(error)) from error
        except OSError as error:
            raise ReadError(str(error)) from error
        return exchange.read(max_bytes) if exchange.unread else b""

    async def aclose(self) -> None:
        if self._exchange.reply is not None:
            self._exchange.reply.close()
            self._exchange.reply = None

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> AsyncNetworkStream:
        self._socket.encrypted = True
        return self

    def get_extra_info(self, info: str) -> typing.Any:
        return None


class AutoBackend(AsyncNetworkBackend):
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: typing.Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        return Stream(host, port)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: typing.Iterable[SOCKET_OPTION] | None = None
    ) -> AsyncNetworkStream:
        raise ConnectError("there are no sockets of the system inside a node of weir")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

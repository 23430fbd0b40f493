"""The client of aiohttp as nodes use it, over `wasi:http`. Servers, websockets and connectors are not here.

The original is written around sockets of an event loop, which a component has not; its package also has native parts.
"""

import asyncio
import json as _json
from types import SimpleNamespace
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

__version__ = "3.12.15"


class ClientError(Exception):
    """The base of all."""


class ClientConnectionError(ClientError):
    pass


class ClientOSError(ClientConnectionError, OSError):
    pass


class ClientConnectorError(ClientOSError):
    pass


class ServerDisconnectedError(ClientConnectionError):
    pass


class ServerTimeoutError(ClientConnectionError, asyncio.TimeoutError):
    pass


class InvalidURL(ClientError, ValueError):
    pass


class ClientPayloadError(ClientError):
    pass


class ClientResponseError(ClientError):
    def __init__(self, request_info=None, history=(), *, status=0, message="", headers=None):
        super().__init__(f"{status}, message={message!r}, url={getattr(request_info, 'url', '')!r}")
        self.request_info, self.history = request_info, history
        self.status, self.message, self.headers = status, message, headers


class ContentTypeError(ClientResponseError, ValueError):
    pass


class ClientTimeout:
    """Times of a request; the longest of them holds."""

    def __init__(self, total=None, connect=None, sock_read=None, sock_connect=None, **_):
        self.total, self.connect, self.sock_read, self.sock_connect = total, connect, sock_read, sock_connect


class _Headers(dict):
    """Headers by their names in any case."""

    def __init__(self, pairs):
        super().__init__()
        for name, value in pairs:
            self[name] = f"{self[name]}, {value}" if name in self else value

    def __setitem__(self, name, value):
        super().__setitem__(name.title(), value)

    def __getitem__(self, name):
        return super().__getitem__(name.title())

    def __contains__(self, name):
        return super().__contains__(name.title())

    def get(self, name, default=None):
        return super().get(name.title(), default)


class BasicAuth:
    def __init__(self, login, password="", encoding="latin1"):
        self.login, self.password, self.encoding = login, password, encoding

    def encode(self):
        import base64

        pair = f"{self.login}:{self.password}".encode(self.encoding)
        return "Basic " + base64.b64encode(pair).decode()


class FormData:
    def __init__(self, fields=()):
        self._fields = dict(fields)

    def add_field(self, name, value, **_):
        self._fields[name] = value

    def __call__(self):
        return urlencode(self._fields).encode()


class TCPConnector:
    """Takes every setting; connections are the host's."""

    def __init__(self, **_):
        pass

    async def close(self):
        pass


class StreamReader:
    """The body of an answer, as it comes."""

    def __init__(self, response):
        self._response, self._ahead = response, b""

    async def read(self, n=-1):
        if n < 0:
            return await self._response.read()
        if not self._ahead:
            self._ahead = await self._response._piece()
        taken, self._ahead = self._ahead[:n], self._ahead[n:]
        return taken

    async def readline(self):
        while b"\n" not in self._ahead:
            piece = await self._response._piece()
            if not piece:
                taken, self._ahead = self._ahead, b""
                return taken
            self._ahead += piece
        end = self._ahead.index(b"\n") + 1
        taken, self._ahead = self._ahead[:end], self._ahead[end:]
        return taken

    async def iter_any(self):
        while True:
            piece = self._ahead or await self._response._piece()
            self._ahead = b""
            if not piece:
                return
            yield piece

    async def iter_chunked(self, n):
        while True:
            piece = await self.read(n)
            if not piece:
                return
            yield piece

    async def iter_chunks(self):
        async for piece in self.iter_any():
            yield piece, True

    def __aiter__(self):
        return self

    async def __anext__(self):
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line


class ClientResponse:
    def __init__(self, method, url, reply):
        self.method, self.url, self.real_url = method, url, url
        self.status, self.headers = reply.status, _Headers(reply.headers)
        self.reason = __import__("http.client").client.responses.get(reply.status, "")
        self.request_info = SimpleNamespace(method=method, url=url, headers={}, real_url=url)
        self.history, self.cookies = (), {}
        self._reply, self._body = reply, None
        self.content = StreamReader(self)

    @property
    def ok(self):
        return self.status < 400

    @property
    def content_type(self):
        return self.headers.get("Content-Type", "application/octet-stream").partition(";")[0].strip()

    @property
    def charset(self):
        _, _, named = self.headers.get("Content-Type", "").partition("charset=")
        return named.strip().strip('"') or None

    async def _piece(self):
        try:
            return await self._reply.piece_soon(asyncio.get_running_loop())
        except OSError as error:
            raise ClientPayloadError(str(error)) from error

    async def read(self):
        if self._body is None:
            pieces = []
            while piece := await self._piece():
                pieces.append(piece)
            self._body = b"".join(pieces)
        return self._body

    async def text(self, encoding=None, errors="strict"):
        return (await self.read()).decode(encoding or self.charset or "utf-8", errors)

    async def json(self, *, encoding=None, loads=_json.loads, content_type="application/json"):
        kind = self.content_type
        if content_type and content_type not in kind and not kind.endswith("+json"):
            raise ContentTypeError(
                self.request_info,
                status=self.status,
                message=f"Attempt to decode JSON with unexpected mimetype: {kind}",
                headers=self.headers,
            )
        text = (await self.text(encoding)).strip()
        return loads(text) if text else None

    def raise_for_status(self):
        if not self.ok:
            raise ClientResponseError(self.request_info, status=self.status, message=self.reason, headers=self.headers)

    def release(self):
        self._reply.close()

    close = release

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.release()


class _Pending:
    """A request that may be awaited, or entered."""

    def __init__(self, coroutine):
        self._coroutine = coroutine

    def __await__(self):
        return self._coroutine.__await__()

    async def __aenter__(self):
        self._response = await self._coroutine
        return self._response

    async def __aexit__(self, *_):
        self._response.release()


class ClientSession:
    def __init__(self, base_url=None, *, headers=None, auth=None, timeout=None, raise_for_status=False, **_):
        self._base, self._headers, self._auth = base_url, dict(headers or {}), auth
        self._timeout, self._raise, self.closed = timeout, raise_for_status, False
        self.headers = self._headers

    def request(self, method, url, **given):
        return _Pending(self._request(method, str(url), **given))

    def get(self, url, **given):
        return self.request("GET", url, **given)

    def post(self, url, **given):
        return self.request("POST", url, **given)

    def put(self, url, **given):
        return self.request("PUT", url, **given)

    def patch(self, url, **given):
        return self.request("PATCH", url, **given)

    def delete(self, url, **given):
        return self.request("DELETE", url, **given)

    def head(self, url, **given):
        return self.request("HEAD", url, **given)

    def options(self, url, **given):
        return self.request("OPTIONS", url, **given)

    def ws_connect(self, *_, **__):
        raise ClientError("websockets are not available inside a node of weir: requests are sent over HTTP")

    async def _request(
        self, method, url, *, params=None, data=None, json=None, headers=None, auth=None, timeout=None,
        allow_redirects=True, max_redirects=10, raise_for_status=None, **_,
    ):  # fmt: skip
        from weir_python import web

        url = urljoin(str(self._base), url) if self._base else url
        sent, body = self._content({**self._headers, **(headers or {})}, data, json, auth or self._auth)
        url = _with(url, params)
        seconds = _seconds(timeout if timeout is not None else self._timeout)
        for _hop in range(max_redirects + 1):
            try:
                asked = web.request_soon(asyncio.get_running_loop(), method, url, sent, body, seconds)
                reply = await (asyncio.wait_for(asked, seconds) if seconds else asked)
            except TimeoutError as error:
                raise ServerTimeoutError(str(error)) from error
            except OSError as error:
                raise ClientConnectorError(str(error)) from error
            response = ClientResponse(method, url, reply)
            target = response.headers.get("Location")
            if not (allow_redirects and target and response.status in (301, 302, 303, 307, 308)):
                break
            response.release()
            url = urljoin(url, target)
            if response.status in (301, 302, 303) and method != "HEAD":
                method, body = "GET", b""
        if self._raise if raise_for_status is None else raise_for_status:
            response.raise_for_status()
        return response

    @staticmethod
    def _content(headers, data, json, auth):
        known = {name.lower() for name in headers}
        if auth is not None:
            headers["Authorization"] = auth.encode()
        body, kind = b"", None
        if json is not None:
            body, kind = _json.dumps(json).encode(), "application/json"
        elif isinstance(data, FormData):
            body, kind = data(), "application/x-www-form-urlencoded"
        elif isinstance(data, dict):
            body, kind = urlencode(data).encode(), "application/x-www-form-urlencoded"
        elif data is not None:
            body = data.encode() if isinstance(data, str) else data.read() if hasattr(data, "read") else bytes(data)
            kind = "text/plain; charset=utf-8" if isinstance(data, str) else "application/octet-stream"
        if kind and "content-type" not in known:
            headers["Content-Type"] = kind
        if body:
            headers["Content-Length"] = str(len(body))
        return headers, body

    async def close(self):
        self.closed = True

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()


def _with(url, params):
    if not params:
        return url
    parts = urlsplit(url)
    more = params if isinstance(params, str) else urlencode(params, doseq=True)
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, more)))))


def _seconds(timeout):
    if timeout is None or isinstance(timeout, (int, float)):
        return timeout
    return timeout.total or timeout.sock_read or timeout.connect


def request(method, url, **given):
    return ClientSession().request(method, url, **given)


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(f"aiohttp.{name} is not available inside a node of weir: only its client is")

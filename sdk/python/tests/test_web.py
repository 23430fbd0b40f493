"""HTTP clients over a host in memory."""

import asyncio
import http.client
import json
import socket
import urllib.error
import urllib.request

from componentize_py_types import Err
from weir_python import sockets, tls, web
from wit_world.imports import wasi_http_types as wasi

from .case import Case, world


class Web(Case):
    def setUp(self):
        super().setUp()
        before = {name: getattr(socket, name) for name in ("socket", "SocketType", "create_connection", "getaddrinfo")}
        by_name = socket.gethostbyname
        sockets.install()

        def back():
            for name, value in before.items():
                setattr(socket, name, value)
            socket.gethostbyname = by_name

        self.addCleanup(back)
        world.web = lambda method, url, headers, body: (
            200,
            [("content-type", "application/json")],
            json.dumps([method, url, headers.get("x-a"), body.decode()]).encode(),
        )

    def test_urllib(self):
        request = urllib.request.Request("http://a.test/p?q=1", b"body", {"X-A": "1"})
        with urllib.request.urlopen(request) as reply:
            self.assertEqual(json.load(reply), ["POST", "http://a.test/p?q=1", "1", "body"])

    def test_http_client_with_a_body_in_chunks(self):
        connection = http.client.HTTPConnection("a.test:8080")
        connection.request(
            "PUT", "/x", iter([b"one", b"two"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
        )
        self.assertEqual(json.loads(connection.getresponse().read())[1:], ["http://a.test:8080/x", None, "onetwo"])

    def test_a_wrapped_socket_asks_by_https(self):
        sock = tls.create_default_context().wrap_socket(socket.create_connection(("a.test", 443)))
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        head, _, body = sock.makefile("rb").read().partition(b"\r\n\r\n")
        self.assertEqual(head.split(b"\r\n")[0], b"HTTP/1.1 200 OK")
        self.assertEqual(json.loads(body)[1], "https://a.test/")

    def test_a_status_is_an_answer(self):
        world.web = lambda *_: (404, [], b"no")
        with self.assertRaises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen("http://a.test/")
        self.assertEqual((raised.exception.code, raised.exception.read()), (404, b"no"))

    def test_what_is_not_granted_is_a_connection_that_fails_and_says_why(self):
        world.web = None
        with self.assertRaises(urllib.error.URLError) as raised:
            urllib.request.urlopen("http://a.test/")
        self.assertIsInstance(raised.exception.reason, ConnectionError)
        self.assertIn("to `grants.http` of the node", str(raised.exception))

    def test_a_connection_that_is_refused_and_one_that_is_late(self):
        for code, expected in (
            (wasi.ErrorCode_ConnectionRefused(), ConnectionRefusedError),
            (wasi.ErrorCode_ConnectionReadTimeout(), TimeoutError),
        ):

            def fail(*_, code=code):
                raise Err(code)

            world.web = fail
            with self.assertRaises(expected):
                web.request("GET", "http://a.test/", {}, b"")

    def test_other_languages_than_http_are_not_spoken(self):
        sock = socket.create_connection(("a.test", 6379))
        with self.assertRaisesRegex(OSError, "only HTTP/1.1 is spoken"):
            sock.sendall(b"*1\r\n$4\r\nPING\r\n")

    def test_a_header_with_a_placeholder_stays_here(self):
        world.web = lambda method, url, headers, body: (200, [], json.dumps(sorted(headers)).encode())
        reply = web.request(
            "GET", "http://a.test/", {"api-key": "weir-connection:c", "x": "1", "Connection": "close"}, b""
        )
        self.assertEqual(json.loads(reply.read()), ["x"])

    def test_aiohttp(self):
        import aiohttp
        from weir_python.loop import Loop

        async def ask():
            async with aiohttp.ClientSession("http://a.test/", headers={"X-A": "1"}) as session:
                async with session.post("/p", json={"b": 1}, params={"q": "1"}) as reply:
                    return reply.status, await reply.json()

        with asyncio.Runner(loop_factory=Loop) as runner:
            status, answer = runner.run(ask())
        self.assertEqual((status, answer[1:]), (200, ["http://a.test/p?q=1", "1", '{"b": 1}']))

    def test_the_stand_in_for_ssl_has_what_clients_import(self):
        module = tls.module()
        for name in ("CERT_NONE", "OP_NO_SSLv2", "PROTOCOL_TLS_CLIENT", "SSLError", "CertificateError", "HAS_SNI"):
            self.assertTrue(hasattr(module, name), name)
        self.assertIsInstance(module.create_default_context(), module.SSLContext)


class Loops(Case):
    def test_an_event_loop_without_threads_or_sockets(self):
        from weir_python.loop import Loop

        async def work():
            slept = await asyncio.gather(asyncio.sleep(0.01, "a"), asyncio.sleep(0.005, "b"))
            threaded = await asyncio.to_thread(lambda: 5)
            try:
                await asyncio.wait_for(asyncio.sleep(5), 0.01)
            except TimeoutError:
                return [*slept, threaded, "late"]

        with asyncio.Runner(loop_factory=Loop) as runner:
            self.assertEqual(runner.run(work()), ["a", "b", 5, "late"])

"""As componentize-py makes it of the WIT, over the world of the test."""

from componentize_py_types import Err, Ok

from .. import world
from . import wasi_http_types as http
from .poll import Pollable
from .streams import _Resource


class Future(_Resource):
    def __init__(self, request):
        self._request = request

    def subscribe(self):
        return Pollable()

    def get(self):
        request = self._request
        url = f"{request.scheme}://{request.authority}{request.path}"
        headers = {name.lower(): value.decode() for name, value in request.headers.pairs}
        try:
            answer = world.web(request.method, url, headers, request.sent.content)
        except Err as error:
            return Ok(error)
        return Ok(Ok(http.IncomingResponse(*answer)))


def handle(request, options):
    world.called()
    if world.web is None:
        raise Err(http.ErrorCode_HttpRequestDenied())
    return Future(request)

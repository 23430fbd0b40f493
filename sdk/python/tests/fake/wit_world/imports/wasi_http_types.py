"""As componentize-py makes it of the WIT, over the world of the test."""

from dataclasses import dataclass

from .streams import InputStream, OutputStream, _Resource

for _name in ("Get", "Head", "Post", "Put", "Delete", "Connect", "Options", "Trace", "Patch"):
    globals()[f"Method_{_name}"] = type(f"Method_{_name}", (), {"value": _name.upper()})


@dataclass
class Method_Other:
    value: str


class Scheme_Http:
    value = "http"


class Scheme_Https:
    value = "https"


class ErrorCode_HttpRequestDenied:
    pass


class ErrorCode_ConnectionRefused:
    pass


class ErrorCode_ConnectionReadTimeout:
    pass


class ErrorCode_HttpResponseIncomplete:
    pass


class Fields(_Resource):
    def __init__(self):
        self.pairs = []

    @classmethod
    def from_list(cls, entries):
        fields = cls()
        fields.pairs = entries
        return fields

    def entries(self):
        return self.pairs


class OutgoingBody(_Resource):
    def __init__(self):
        self.content = b""

    def write(self):
        return OutputStream(self)

    @classmethod
    def finish(cls, this, trailers):
        return None


class OutgoingRequest:
    def __init__(self, headers):
        self.headers, self.sent = headers, OutgoingBody()

    def body(self):
        return self.sent

    def set_method(self, method):
        self.method = method.value

    def set_scheme(self, scheme):
        self.scheme = scheme.value

    def set_authority(self, authority):
        self.authority = authority

    def set_path_with_query(self, path):
        self.path = path


class RequestOptions:
    def set_connect_timeout(self, duration):
        return None

    set_first_byte_timeout = set_between_bytes_timeout = set_connect_timeout


class IncomingBody(_Resource):
    def __init__(self, content):
        self.content = content

    def stream(self):
        return InputStream(self.content)


class IncomingResponse(_Resource):
    def __init__(self, status, headers, content):
        self._status, self._headers, self._content = status, headers, content

    def status(self):
        return self._status

    def headers(self):
        return Fields.from_list([(name, value.encode()) for name, value in self._headers])

    def consume(self):
        return IncomingBody(self._content)


def http_error_code(error):
    return None

"""As componentize-py makes it of the WIT, over the world of the test."""

from dataclasses import dataclass

from componentize_py_types import Err

from .poll import Pollable


@dataclass
class StreamError_LastOperationFailed:
    value: object


@dataclass
class StreamError_Closed:
    pass


class _Resource:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


class InputStream(_Resource):
    def __init__(self, content):
        self.content = content

    def read(self, size):
        if not self.content:
            raise Err(StreamError_Closed())
        piece, self.content = self.content[:size], self.content[size:]
        return piece

    blocking_read = read

    def subscribe(self):
        return Pollable()


class OutputStream(_Resource):
    def __init__(self, body):
        self.body = body

    def check_write(self):
        return 4096

    def write(self, content):
        self.body.content += content

    def blocking_flush(self):
        return None

    def subscribe(self):
        return Pollable()

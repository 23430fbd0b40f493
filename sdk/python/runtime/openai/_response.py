"""Streams of answers, and answers with what surrounds them."""

import time

from weir_python import host

from . import _exceptions
from .types.chat import ChatCompletionChunk


class Stream:
    """The chunks of a chat's answer, as they come. `for`, `with` and `close` work as with OpenAI's client."""

    def __init__(self, stream, model, with_usage):
        self._stream = stream
        self._model = model
        self._with_usage = with_usage
        self._chunks = None
        self.response = _exceptions.Response(200, "")

    def take_unread(self):
        """The host's own stream, if nothing of it is read yet; it is the caller's from then on."""
        if self._chunks is not None or self._with_usage:
            return None
        self._chunks = iter(())
        return self._stream

    def __iter__(self):
        return self

    def __next__(self):
        if self._chunks is None:
            self._chunks = self._read()
        return next(self._chunks)

    def _read(self):
        created = int(time.time())
        try:
            for delta, finish_reason in host.deltas(self._stream):
                choice = {"delta": delta, "finish_reason": finish_reason, "index": 0, "logprobs": None}
                yield self._chunk(created, [choice])
        except host.CallFailed as failed:
            raise _exceptions.of(failed) from None
        if self._with_usage:
            yield self._chunk(created, [], host.usage_of(self._stream))

    def _chunk(self, created, choices, usage=None):
        return ChatCompletionChunk(
            id="chatcmpl-weir",
            choices=choices,
            created=created,
            model=self._model,
            object="chat.completion.chunk",
            **({"usage": usage} if usage is not None else {}),
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Gives the rest of the answer up."""
        if self._stream is not None:
            host.cancel(self._stream)
        self._stream, self._chunks = None, iter(())


class AsyncStream:
    """The same for `async for`."""

    def __init__(self, stream):
        self._inner = stream
        self.response = stream.response

    def take_unread(self):
        return self._inner.take_unread()

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return next(self._inner)
        except StopIteration:
            raise StopAsyncIteration from None

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self._inner.close()

    async def close(self):
        self._inner.close()


class TextPieces:
    """The one chunk of a completion that was asked for as a stream: the interface has no stream of completions."""

    def __init__(self, completion):
        self._chunks = iter([completion])

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._chunks)

    def close(self):
        self._chunks = iter(())


class RawResponse:
    """An answer as `with_raw_response` gives it. Headers stay in the host."""

    def __init__(self, parsed):
        self._parsed = parsed
        self.http_response = _exceptions.Response(200, "")
        self.headers, self.status_code, self.request_id = {}, 200, None

    def parse(self, **_):
        return self._parsed

    @property
    def text(self):
        return self._parsed.model_dump_json()

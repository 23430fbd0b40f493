"""What a prompty asks a model, and what it makes of the answer."""

import copy
import json
from collections.abc import AsyncIterator, Iterator

from promptflow.core._errors import ChatAPIInvalidFunctions, ChatAPIInvalidTools, InvalidOutputKeyError


class Request:
    """One call of a model: `prompt` is a list of messages or, for a completion, text."""

    def __init__(self, model, prompt, first_choice):
        from weir_python import models

        self.api = model.api
        self.connection = models.of_configuration(model.configuration)
        self.model = model._model or ""
        self.prompt = prompt
        self.first_choice = first_choice
        self.parameters = _parameters(model.parameters)

    @property
    def streams(self) -> bool:
        return bool(self.parameters.get("stream", False))

    @property
    def is_json(self) -> bool:
        said = self.parameters.get("response_format")
        return isinstance(said, dict) and said.get("type") == "json_object"

    def send(self):
        from openai._client import Service

        service = Service(self.connection)
        if self.api == "completion":
            return service.complete(self.model, self.prompt, self.parameters)
        return service.chat(self.model, self.prompt, self.parameters)


def _parameters(given):
    parameters = copy.copy(given)
    if "tools" in parameters:
        if not parameters["tools"]:
            raise ChatAPIInvalidTools("tools cannot be an empty list.")
        parameters["tool_choice"] = parameters.get("tool_choice") or "auto"
    elif "functions" in parameters:
        if not parameters["functions"]:
            raise ChatAPIInvalidFunctions("functions cannot be an empty list.")
        parameters["function_call"] = parameters.get("function_call") or "auto"
    return parameters


class TextStream(Iterator, AsyncIterator):
    """The text of an answer, piece by piece, to be read by `for` or by `async for`.

    A node that returns one that nobody has read yet hands it to the host, which passes it on without the guest.
    """

    def __init__(self, stream):
        self._stream = stream
        self._pieces = None

    def take_unread(self):
        """The host's own stream, if nothing of it is read yet; it is the caller's from then on."""
        return self._stream.take_unread() if self._pieces is None else None

    def __next__(self):
        if self._pieces is None:
            self._pieces = self._read()
        return next(self._pieces)

    def _read(self):
        for chunk in self._stream:
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content

    async def __anext__(self):
        try:
            return next(self)
        except StopIteration:
            raise StopAsyncIteration from None


def format_answer(response, request, outputs):
    if not request.first_choice:
        return response
    if request.streams:
        text = TextStream(response)
        return _formed("".join(text), outputs) if request.is_json else text
    choice = response.choices[0]
    if request.api == "completion":
        content = choice.text
    elif choice.finish_reason in ("tool_calls", "function_calls"):
        content = response.model_dump()["choices"][0]["message"]
    else:
        content = getattr(choice.message, "content", "")
    return _formed(content, outputs) if request.is_json else content


def _formed(text, outputs):
    """An answer in JSON, or of it what the prompty names as its outputs."""
    result = json.loads(text)
    for key in outputs or ():
        if key not in result:
            raise InvalidOutputKeyError(f"Cannot find {key} in response {list(result.keys())}")
    return {key: result[key] for key in outputs} if outputs else result

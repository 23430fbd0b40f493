"""`Prompty`: a file of a prompt and its model, called like a function. Flows of other folders cannot be called here."""

import copy
import functools
import json
import os
import re
from pathlib import Path

from promptflow._constants import DEFAULT_ENCODING, PROMPTY_EXTENSION
from promptflow._utils.yaml_utils import load_yaml, load_yaml_string
from promptflow.core import _answer, _prompt
from promptflow.core._errors import CoreError, LLMError, MissingRequiredInputError, WrappedOpenAIError
from promptflow.core._model_configuration import PromptyModelConfiguration
from promptflow.core._utils import load_inputs_from_sample
from promptflow.exceptions import SystemErrorException, UserErrorException
from promptflow.tracing._trace import trace, traced

# Compiled here, so that the snapshot has them.
_PARTS = re.compile(r"-{3,}\n(.*)-{3,}\n(.*)", re.DOTALL)
_IMAGE = re.compile(r"^data:image/(.*);(path|base64|url):\s*(.*)$")
_REFERENCE = re.compile(r"\$\{(\w+):(.*)\}")

_NO_FLOWS = (
    "a flow cannot be called inside a node of weir: make its nodes nodes of this flow, and call them by "
    "`weir_python.host.call_node` with a grant in `grants.nodes`"
)


class FlowBase:
    """What `load` gives."""

    def __init__(self, *, data, code, path, **kwargs):
        self._data, self._code, self._path = data, Path(code).resolve(), Path(path).resolve()

    @property
    def code(self) -> Path:
        return self._code

    @property
    def path(self) -> Path:
        return self._path

    @classmethod
    def load(cls, source, **kwargs):
        if str(source).endswith(PROMPTY_EXTENSION):
            kind = AsyncPrompty if cls is AsyncFlow else Prompty
            return kind.load(source=source, **kwargs)
        raise UserErrorException(_NO_FLOWS)


class Flow(FlowBase):
    def __call__(self, *args, **kwargs):
        raise UserErrorException(_NO_FLOWS)

    def invoke(self, *args, **kwargs):
        raise UserErrorException(_NO_FLOWS)


class AsyncFlow(FlowBase):
    async def __call__(self, *args, **kwargs):
        raise UserErrorException(_NO_FLOWS)


class Prompty(FlowBase):
    """A prompt with its inputs and its model.

    `Prompty.load(source="chat.prompty", model={…})(question="…")` gives what the model answers: text, a generator of
    text with `stream: true`, an object with `response_format: {type: json_object}`, the whole answer with
    `response: all`. A failure of the service is a WrappedOpenAIError; the host has retried what is worth it.
    """

    def __init__(self, path, model=None, **kwargs):
        path = Path(path)
        configs, self._template = self._parse_prompty(path)
        configs = update_dict_recursively(
            resolve_references(configs, path.parent), resolve_references(kwargs, path.parent)
        )
        configs["model"] = update_dict_recursively(
            configs.get("model", {}), resolve_references(model or {}, path.parent)
        )
        self._model = PromptyModelConfiguration(**configs["model"])
        self._inputs = configs.get("inputs") or {}
        self._outputs = configs.get("outputs") or {}
        self._name = configs.get("name", path.stem)
        self._sample = configs.get("sample")
        super().__init__(data=configs, code=path.parent, path=path)

    @classmethod
    def load(cls, source, **kwargs):
        path = Path(source)
        if not path.exists():
            raise UserErrorException(f"Source {path.absolute().as_posix()} does not exist")
        if path.suffix != PROMPTY_EXTENSION:
            raise UserErrorException("Source must be a file with .prompty extension.")
        return cls(path=path, **kwargs)

    @staticmethod
    def _parse_prompty(path):
        with open(path, encoding=DEFAULT_ENCODING) as file:
            content = file.read()
        match = _PARTS.search(content)
        if not match:
            raise UserErrorException(
                "Illegal formatting of prompty. The prompt file is in markdown format and can be divided into two "
                "parts, the first part is in YAML format and contains connection and model information. The second "
                "part is the prompt template."
            )
        return copy.deepcopy(_front_matter(match[1])), match[2]

    def _resolve_inputs(self, given):
        if not given and self._sample:
            given = load_inputs_from_sample(self._sample)
        names = self._inputs or {name: {} for name in load_inputs_from_sample(self._sample)}
        missing = [name for name, said in names.items() if name not in given and "default" not in (said or {})]
        if missing:
            raise MissingRequiredInputError(f"Missing required inputs: {missing}")
        values = {name: given.get(name, (said or {}).get("default")) for name, said in names.items()}
        return {name: _image(value, self.path.parent) for name, value in values.items()}

    @trace
    def __call__(self, *args, **kwargs):
        request = self._request(args, kwargs)
        try:
            return _answer.format_answer(request.send(), request, self._outputs)
        except Exception as error:
            raise _wrapped(error) from error

    def _request(self, args, kwargs):
        if args:
            raise UserErrorException("Prompty can only be called with keyword arguments.")
        try:
            inputs = self._resolve_inputs(kwargs)
            prompt = _traced_prompt(self._template, inputs, self._model.api)
            return _answer.Request(self._model, prompt, self._data.get("model", {}).get("response") != "all")
        except Exception as error:
            raise _wrapped(error) from error

    def _prompt(self, inputs):
        return convert_prompt_template(self._template, inputs, self._model.api)

    def render(self, *args, **kwargs):
        """The prompt as text."""
        if args:
            raise UserErrorException("Prompty can only be rendered with keyword arguments.")
        return str(self._prompt(self._resolve_inputs(kwargs)))

    def estimate_token_count(self, *args, **kwargs):
        """About how many tokens prompt and answer take: four bytes of text are taken for one."""
        longest = self._model.parameters.get("max_tokens")
        if longest is not None and not isinstance(longest, int):
            raise UserErrorException("Max_token needs to be integer.")
        if longest is not None and longest <= 1:
            raise UserErrorException(f"{longest} is less than the minimum of max_tokens.")
        text = self._prompt(self._resolve_inputs(kwargs))
        return len((text if isinstance(text, str) else json.dumps(text)).encode()) // 4 + (longest or 0)


class AsyncPrompty(Prompty):
    """A prompty whose call is awaited; a stream of it is an async generator."""

    @trace
    async def __call__(self, *args, **kwargs):
        request = self._request(args, kwargs)
        try:
            return _answer.format_answer(request.send(), request, self._outputs)
        except Exception as error:
            raise _wrapped(error) from error


def convert_prompt_template(template, inputs, api):
    """The prompt: text for a completion, else messages."""
    if api == "completion":
        return _prompt.render(_prompt.with_images_apart(template), **inputs)
    return _prompt.messages(template, inputs)


_traced_prompt = traced(convert_prompt_template, args_to_ignore=["api"])


@functools.lru_cache(maxsize=256)
def _front_matter(text):
    """The YAML of a prompty, read once: it costs more than all else that a prompty does here."""
    return load_yaml_string(text)


def _wrapped(error: Exception) -> Exception:
    """A failure in prompt flow's words: those of the service by their class, its own as they are."""
    from openai import OpenAIError

    if isinstance(error, (UserErrorException, SystemErrorException)):
        return error
    if isinstance(error, OpenAIError):
        return WrappedOpenAIError(error)
    return LLMError(f"OpenAI API hits exception: {type(error).__name__}: {error}")


def _image(value, folder):
    """Text such as `data:image/png;path: cat.png` as an image."""
    match = _IMAGE.match(value) if isinstance(value, str) else None
    if match is None:
        return value
    from weir_python import images

    mime, form, content = f"image/{match[1]}", match[2], match[3]
    if form == "path":
        return images.from_file(content if os.path.isabs(content) else Path(folder) / content, mime)
    return images.from_base64(content, mime) if form == "base64" else images.from_url(content, mime)


def update_dict_recursively(origin, overwrite):
    updated = dict(origin or {})
    for key, value in overwrite.items():
        old = updated.get(key)
        updated[key] = (
            update_dict_recursively(old if isinstance(old, dict) else {}, value) if isinstance(value, dict) else value
        )
    return updated


def resolve_references(value, folder):
    """`${env:NAME}` and `${file:PATH}` anywhere in a value."""
    if isinstance(value, str):
        return _reference(value, folder)
    if isinstance(value, list):
        return [resolve_references(item, folder) for item in value]
    if isinstance(value, dict):
        return {key: resolve_references(item, folder) for key, item in value.items()}
    return value


def _reference(text, folder):
    match = _REFERENCE.match(text)
    if match is None:
        return text
    kind, name = match.groups()
    if kind == "env":
        return os.environ.get(name, text)
    if kind != "file":
        return text
    path = Path(name) if os.path.isabs(name) else Path(folder) / name
    if not path.exists():
        raise UserErrorException(f"Cannot find the reference file {name}.")
    if path.suffix.lower() in (".yml", ".yaml"):
        return load_yaml(path)
    with open(path) as file:
        return json.load(file) if path.suffix.lower() == ".json" else file.read()


__all__ = ["AsyncFlow", "AsyncPrompty", "CoreError", "Flow", "FlowBase", "Prompty"]

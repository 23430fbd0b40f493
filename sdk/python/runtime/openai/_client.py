"""The clients, and the calls that they have."""

import base64
import struct

from weir_python import connections, host, models

from . import _exceptions
from ._response import AsyncStream, RawResponse, Stream, TextPieces
from ._types import NotGiven
from .types import Completion, CreateEmbeddingResponse
from .types.chat import ChatCompletion

#: Arguments that say how a request is sent, which is the host's affair.
_TRANSPORT = ("extra_headers", "extra_query", "timeout")


class Service:
    """The calls themselves, on one connection."""

    def __init__(self, connection):
        self.connection = connection

    def chat(self, model, messages, given):
        parameters = _plain(given)
        stream = parameters.pop("stream", False)
        with_usage = bool((parameters.pop("stream_options", None) or {}).get("include_usage"))
        messages = [_as_dict(message) for message in messages]
        try:
            if stream:
                return Stream(host.stream_chat(self.connection, model, messages, parameters), model, with_usage)
            return ChatCompletion(**host.chat(self.connection, model, messages, parameters))
        except host.CallFailed as failed:
            raise _exceptions.of(failed) from None

    def complete(self, model, prompt, given):
        parameters = _plain(given)
        stream = parameters.pop("stream", False)
        parameters.pop("stream_options", None)
        if isinstance(prompt, list):
            if len(prompt) != 1 or not isinstance(prompt[0], str):
                raise _exceptions.OpenAIError("weir's completions take one text as their prompt; call once for each")
            prompt = prompt[0]
        try:
            completion = Completion(**host.complete(self.connection, model, prompt, parameters))
        except host.CallFailed as failed:
            raise _exceptions.of(failed) from None
        return TextPieces(completion) if stream else completion

    def embed(self, model, texts, given):
        parameters = _plain(given)
        encoded = parameters.pop("encoding_format", "float") == "base64"
        texts = [texts] if isinstance(texts, str) else list(texts)
        if not all(isinstance(text, str) for text in texts):
            raise _exceptions.OpenAIError("weir's embeddings take texts; tokens cannot be embedded")
        try:
            answered, vectors, usage = host.embed(self.connection, model, texts, parameters)
        except host.CallFailed as failed:
            raise _exceptions.of(failed) from None
        data = [
            {"embedding": _base64(vector) if encoded else vector, "index": index, "object": "embedding"}
            for index, vector in enumerate(vectors)
        ]
        used = {name: (usage or {}).get(name, 0) for name in ("prompt_tokens", "total_tokens")}
        return CreateEmbeddingResponse(data=data, model=answered or model, object="list", usage=used)


def _base64(vector):
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _plain(given):
    """Arguments as the service takes them: without those that are not given, or not the service's."""
    parameters = {
        name: _as_dict(value)
        for name, value in given.items()
        if value is not None and not isinstance(value, NotGiven) and name not in _TRANSPORT
    }
    parameters.update(parameters.pop("extra_body", None) or {})
    return parameters


def _as_dict(value):
    """An object of an earlier answer, such as a message that goes back as part of the history."""
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(exclude_none=True)
    if isinstance(value, list):
        return [_as_dict(item) for item in value]
    if isinstance(value, dict):
        return {name: _as_dict(item) for name, item in value.items()}
    return value


class _Call:
    """A function of a client: to be called, or asked for as `with_raw_response`."""

    def __init__(self, create):
        self._create = create

    def create(self, **arguments):
        return self._create(**arguments)

    @property
    def with_raw_response(self):
        return _Call(lambda **arguments: RawResponse(self._create(**arguments)))


class _AsyncCall:
    def __init__(self, create):
        self._create = create

    async def create(self, **arguments):
        answer = self._create(**arguments)
        return AsyncStream(answer) if isinstance(answer, Stream) else answer

    @property
    def with_raw_response(self):
        return _AsyncCall(lambda **arguments: RawResponse(self._create(**arguments)))


class _Chat:
    def __init__(self, completions, parse=None):
        self.completions = completions
        if parse is not None:
            completions.parse = parse

    @property
    def with_raw_response(self):
        return _Chat(self.completions.with_raw_response)


def _parser(call):
    """`parse`: an answer in the form of a model of pydantic, as an object of it under `message.parsed`."""

    def asked(arguments):
        model = arguments.get("response_format")
        if isinstance(model, type):
            schema = model.model_json_schema()
            form = {"name": model.__name__, "schema": schema, "strict": True}
            return model, {**arguments, "response_format": {"type": "json_schema", "json_schema": form}}
        return None, arguments

    def read(answer, model):
        for choice in answer.choices:
            content = choice.message.content
            choice.message.parsed = model.model_validate_json(content) if model and content else None
        return answer

    if isinstance(call, _AsyncCall):

        async def parse(**arguments):
            model, arguments = asked(arguments)
            return read(await call.create(**arguments), model)
    else:

        def parse(**arguments):
            model, arguments = asked(arguments)
            return read(call.create(**arguments), model)

    return parse


class _Beta:
    """What was there before it was part of the interface: `beta.chat.completions`."""

    def __init__(self, client):
        self._client = client
        self.chat = client.chat

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return _NotAvailable(f"{type(self._client).__name__}().beta.{name}")


class _NotAvailable:
    """A part of the service that the interface of the host does not have."""

    def __init__(self, name):
        self._name = name

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _NotAvailable(f"{self._name}.{name}")

    def __call__(self, *args, **kwargs):
        raise _exceptions.OpenAIError(
            f"{self._name} is not available inside a node of weir: models answer chats, completions and embeddings. "
            "Ask the service itself over HTTP, with `{connection: NAME}` in `grants.http` of the node."
        )


def _token(provider):
    """What a provider of tokens gives. One that is to be awaited can only give what stands for the host's."""
    token = provider()
    if hasattr(token, "__await__"):
        token.close()
        return connections.PLACEHOLDER
    return token


def unavailable(name):
    """A class of the original that can be derived from and not made."""

    def __init__(self, *_, **__):
        _NotAvailable(f"openai.{name}")()

    return type(name, (), {"__init__": __init__, "__module__": "openai"})


class _BaseClient:
    _azure = False
    _call = _Call

    def __init__(
        self, *, api_key=None, base_url=None, azure_endpoint=None, azure_deployment=None, model=None, organization=None,
        api_version=None, azure_ad_token=None, azure_ad_token_provider=None, **kwargs,
    ):  # fmt: skip
        if api_key is None and azure_ad_token_provider is not None:
            api_key = _token(azure_ad_token_provider)
        self.api_key = api_key or azure_ad_token or self._from_environment("API_KEY")
        self.base_url = base_url or azure_endpoint or self._from_environment("ENDPOINT" if self._azure else "BASE_URL")
        self.organization, self._api_version = organization, api_version
        self._deployment = azure_deployment
        self._options = kwargs
        self.max_retries, self.timeout = kwargs.get("max_retries", 2), kwargs.get("timeout")

    def _from_environment(self, name):
        import os

        return os.environ.get(("AZURE_OPENAI_" if self._azure else "OPENAI_") + name)

    @property
    def _service(self):
        return Service(models.of_client(self.api_key, self.base_url, self._azure))

    def _model(self, model):
        named = getattr(model, "value", model)
        return named or self._deployment or ""

    @property
    def chat(self):
        def create(*, messages, model="", **given):
            return self._service.chat(self._model(model), messages, given)

        call = self._call(create)
        return _Chat(call, _parser(call))

    @property
    def beta(self):
        return _Beta(self)

    @property
    def completions(self):
        def create(*, prompt, model="", **given):
            return self._service.complete(self._model(model), prompt, given)

        return self._call(create)

    @property
    def embeddings(self):
        def create(*, input, model="", **given):
            return self._service.embed(self._model(model), input, given)

        return self._call(create)

    def with_options(self, **options):
        client = type(self).__new__(type(self))
        client.__dict__.update(self.__dict__)
        client.__dict__.update({name: value for name, value in options.items() if name in ("api_key", "base_url")})
        return client

    copy = with_options

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return _NotAvailable(f"{type(self).__name__}().{name}")


class OpenAI(_BaseClient):
    """The client of OpenAI's service, and of others that speak its language."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def close(self):
        return None


class AzureOpenAI(OpenAI):
    """The client of Azure OpenAI: `model` is a deployment."""

    _azure = True


class AsyncOpenAI(_BaseClient):
    """The same as OpenAI, awaited."""

    _call = _AsyncCall

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None

    async def close(self):
        return None


class AsyncAzureOpenAI(AsyncOpenAI):
    """The same as AzureOpenAI, awaited."""

    _azure = True


Client, AsyncClient = OpenAI, AsyncOpenAI

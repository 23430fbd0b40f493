"""The `openai` module as nodes use it, over `weir:flow/llm`: keys and addresses stay in the host.

Chat (plain, streamed, with tools), completions and embeddings work as with the client of OpenAI, version 1: the same
calls, the same objects, the same exceptions. `OpenAI`, `AzureOpenAI` and their async forms differ only in which
connection they mean where nothing says so: see weir_python/models.py. What a client is told of keys, addresses, time
limits and retries has no effect: a connection has its own, and the host retries.

Everything else of the service, such as assistants, files and images, says that it is not available, and how its HTTP
interface can be reached.
"""

from ._client import AsyncAzureOpenAI, AsyncClient, AsyncOpenAI, AzureOpenAI, Client, OpenAI, unavailable
from ._exceptions import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ContentFilterFinishReasonError,
    InternalServerError,
    LengthFinishReasonError,
    NotFoundError,
    OpenAIError,
    PermissionDeniedError,
    RateLimitError,
    UnprocessableEntityError,
)
from ._legacy import removed
from ._models import BaseModel
from ._response import AsyncStream, Stream
from ._types import NOT_GIVEN, NotGiven, Omit, Timeout, omit
from ._version import VERSION, __version__

# Names of the original that can be imported, and derived from, and say so when they are used.
_UNAVAILABLE = (
    "AssistantEventHandler",
    "AsyncAssistantEventHandler",
    "DefaultAioHttpClient",
    "DefaultAsyncHttpxClient",
    "DefaultHttpxClient",
    "file_from_path",
    "pydantic_function_tool",
)

# What the module itself was told, before version 1 and since, and its own client.
api_key = None
organization = None
project = None
base_url = None
api_base = None
api_type = None
api_version = None
azure_endpoint = None
azure_ad_token = None
timeout = None
max_retries = 2
default_headers = None
default_query = None
http_client = None


def _module_client():
    azure = bool(azure_endpoint) or str(api_type or "").startswith("azure")
    return (AzureOpenAI if azure else OpenAI)(api_key=api_key, base_url=base_url or azure_endpoint or api_base)


def __getattr__(name):
    if name in ("chat", "completions", "embeddings", "beta", "models", "responses"):
        return getattr(_module_client(), name)
    if name in removed.NAMES:
        return removed.of(name)
    if name in _UNAVAILABLE:
        return unavailable(name)
    raise AttributeError(f"module 'openai' has no attribute {name!r}")


__all__ = [
    "NOT_GIVEN",
    "VERSION",
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncAzureOpenAI",
    "AsyncClient",
    "AsyncOpenAI",
    "AsyncStream",
    "AuthenticationError",
    "AzureOpenAI",
    "BadRequestError",
    "BaseModel",
    "Client",
    "ConflictError",
    "ContentFilterFinishReasonError",
    "InternalServerError",
    "LengthFinishReasonError",
    "NotFoundError",
    "NotGiven",
    "Omit",
    "OpenAI",
    "OpenAIError",
    "PermissionDeniedError",
    "RateLimitError",
    "Stream",
    "Timeout",
    "UnprocessableEntityError",
    "__version__",
    "omit",
]

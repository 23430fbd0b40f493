"""Names under the module that OpenAI's client keeps them in."""

from . import ChatCompletionMessageToolCall, Function  # noqa: F401

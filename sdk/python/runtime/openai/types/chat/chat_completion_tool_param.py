"""Names under the module that OpenAI's client keeps them in."""

from . import ChatCompletionToolParam  # noqa: F401

"""Names under the module that OpenAI's client keeps them in."""

from . import ChatCompletionMessageParam  # noqa: F401

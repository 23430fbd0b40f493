"""Names under the module that OpenAI's client keeps them in."""

from . import ChatCompletionChunk, ChoiceDelta, ChoiceDeltaToolCall  # noqa: F401

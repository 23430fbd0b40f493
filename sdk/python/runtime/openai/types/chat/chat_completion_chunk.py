"""Names under the module that OpenAI's client keeps them in."""

from . import ChatCompletionChunk, ChoiceDelta, ChoiceDeltaToolCall, ChunkChoice as Choice  # noqa: F401

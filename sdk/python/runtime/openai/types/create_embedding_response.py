"""Names under the module that OpenAI's client keeps them in."""

from . import CreateEmbeddingResponse  # noqa: F401

"""Names under the module that OpenAI's client keeps them in."""

from . import Completion, CompletionChoice, CompletionUsage  # noqa: F401

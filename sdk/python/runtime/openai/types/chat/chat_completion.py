"""Names under the module that OpenAI's client keeps them in."""

from . import ChatCompletion, Choice  # noqa: F401

"""Where tiktoken keeps its class."""

from . import Encoding  # noqa: F401

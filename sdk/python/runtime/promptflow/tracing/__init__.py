"""`@trace`, and what belongs to it."""

from ._context_utils import ThreadPoolExecutorWithContext
from ._trace import start_trace, trace
from ._version import __version__

__all__ = ["ThreadPoolExecutorWithContext", "__version__", "start_trace", "trace"]

"""prompt flow's package as nodes import it, over weir's interfaces.

What a node can use works as in prompt flow 1.17; what belongs to a developer's machine or to Azure can be imported, so
that a module with a `__main__` block of its own loads, and says what to do instead when it is used. Packages that add
to this one, such as promptflow-tools, are found beside it.
"""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)

from ._version import VERSION as __version__
from .core import ToolProvider, log_metric, tool
from .tracing import trace

log_flow_metric = log_metric

_CLIENT = ("PFClient", "load_flow", "load_run")


def __getattr__(name):
    if name in _CLIENT:
        from . import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["ToolProvider", "__version__", "log_flow_metric", "log_metric", "tool", "trace"]

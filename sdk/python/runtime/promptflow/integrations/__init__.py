"""Not of this world: see `_unavailable`."""

from promptflow._unavailable import module_getattr

__getattr__ = module_getattr(__name__, "use the service over HTTP, with a grant for its address")

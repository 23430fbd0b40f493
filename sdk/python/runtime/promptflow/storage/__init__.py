"""Not of this world: see `_unavailable`."""

from promptflow._unavailable import module_getattr

__getattr__ = module_getattr(__name__, "runs are stored by whatever the host exports traces to")

"""Not of this world: see `_unavailable`."""

from promptflow._unavailable import module_getattr

__getattr__ = module_getattr(
    __name__, "a node has no access to an Azure ML workspace; use `weir serve` with a deployment file from outside"
)

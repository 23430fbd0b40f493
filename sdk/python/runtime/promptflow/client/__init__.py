"""Not of this world: see `_unavailable`."""

from promptflow._unavailable import module_getattr

__getattr__ = module_getattr(
    __name__, "a node cannot manage flows and runs; use `weir run` and `weir serve` from outside"
)

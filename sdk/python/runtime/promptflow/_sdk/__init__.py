"""prompt flow's development kit, of which nothing is of use inside a node: see `_unavailable`."""

from promptflow._unavailable import module_getattr

__getattr__ = module_getattr(
    __name__, "it manages flows and runs on a developer's machine; use `weir run` and `weir serve` from outside"
)

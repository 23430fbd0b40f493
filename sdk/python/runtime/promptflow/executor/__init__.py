"""Not of this world: see `_unavailable`."""

from promptflow._unavailable import module_getattr

__getattr__ = module_getattr(
    __name__, "the host executes flows; another node of this flow is called by `weir_python.host.call_node`"
)

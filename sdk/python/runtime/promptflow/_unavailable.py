"""Names of prompt flow that mean nothing inside a node: they can be imported, and say so when they are used."""

from promptflow.exceptions import UserErrorException


class NotSupportedInNode(UserErrorException):
    """Something of prompt flow that a sandboxed node has no use for, or no way to do."""


class _Placeholder(type):
    """Classes that fail when they are made or looked into, and not before: annotations and `isinstance` are no use."""

    def __call__(cls, *args, **kwargs):
        raise NotSupportedInNode(cls._told)

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotSupportedInNode(cls._told)


def placeholder(module: str, name: str, instead: str) -> type:
    told = f"{module}.{name} is not available inside a node of weir: {instead}"
    return _Placeholder(name, (), {"_told": told, "__module__": module, "__doc__": told})


def module_getattr(module: str, instead: str):
    """The `__getattr__` of a module all of whose names are placeholders."""

    def __getattr__(name):
        if name.startswith("__"):
            raise AttributeError(name)
        return placeholder(module, name, instead)

    return __getattr__

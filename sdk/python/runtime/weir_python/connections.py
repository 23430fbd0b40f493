"""Connections by name, as objects of prompt flow's classes. Their keys stay in the host.

A flow file gives a node the *name* of a connection. What it says that is no secret the host lets a node read, as
settings `NAME.KEY`; a secret only where `grants.config` names the very key. In the place of a key that it may not read
an object has a placeholder, `weir-connection:NAME`:

* the `openai` module beside this one takes a client with such a key to mean the connection NAME, and asks it through
  `weir:flow/llm`, where the host adds the key;
* a request over HTTP that carries one in a header is sent without that header: the host adds the key where
  `grants.http` names `{connection: NAME}`.

A custom connection has no such service in front of it: its keys are granted one by one, and one that is not granted
says so when it is read.
"""

from __future__ import annotations

import typing
from typing import Any

from . import host

PLACEHOLDER = "weir-connection:"

#: Keys of connections that are no secrets, by which a class is told where an annotation allows several.
_TELLING = {
    "api_version": "AzureOpenAIConnection",
    "api_type": "AzureOpenAIConnection",
    "resource_id": "AzureOpenAIConnection",
    "organization": "OpenAIConnection",
    "base_url": "OpenAIConnection",
    "api_base": "ServerlessConnection",
}


#: What of connections is secret, as `NAME.KEY`: the host says it of what a node may read, and of all that its own
#: connections hold.
secret_settings: frozenset[str] = frozenset()


class Granted(dict):
    """The secrets of a custom connection, or its other values. A secret that the node may not read is there, and says
    what would grant it when it is asked for."""

    def __init__(self, values: dict[str, Any], name: str, is_secret: bool):
        super().__init__({key: value for key, value in values.items() if _is_secret(name, key) == is_secret})
        self._name, self._is_secret = name, is_secret

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or self._is_withheld(key)

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if self._is_withheld(key) else super().get(key, default)

    def _is_withheld(self, key: object) -> bool:
        """Whether it is a secret that the node may not read."""
        return self._is_secret and f"{self._name}.{key}" in secret_settings

    def __missing__(self, key: str):
        raise KeyError(
            f"Key {key!r} not found in connection {self._name!r}: there is none, or the node may not read it; "
            f"add `{self._name}.{key}` to `grants.config` of the node"
        )


def _is_secret(name: str, key: str) -> bool:
    return f"{name}.{key}" in secret_settings


def is_connection_class(kind: Any) -> bool:
    from promptflow.connections import BingConnection
    from promptflow.core._connection import _Connection

    kind = typing.get_origin(kind) or kind
    return isinstance(kind, type) and (issubclass(kind, _Connection) or kind is BingConnection)


def name_in(text: Any) -> str | None:
    """The connection that a placeholder stands for."""
    return text[len(PLACEHOLDER) :] if isinstance(text, str) and text.startswith(PLACEHOLDER) else None


def values_of(name: str) -> dict[str, str]:
    """What the node may read of a connection."""
    start = name + "."
    return {key[len(start) :]: value for key, value in host.settings().items() if key.startswith(start)}


def get(name: str, kinds: list[Any]) -> Any:
    """The connection of that name, as an object of one of the classes; of any where the list is empty."""
    values = values_of(name)
    return make(_class_of(values, kinds), name, values)


def _class_of(values: dict[str, str], kinds: list[Any]) -> type:
    from promptflow import connections
    from promptflow.core._connection import CustomConnection

    classes = [kind for kind in kinds if is_connection_class(kind)]
    if len(classes) == 1:
        return classes[0]
    by_name = {kind.__name__: kind for kind in classes}
    for key, told in _TELLING.items():
        if key in values and (not classes or told in by_name):
            return by_name.get(told) or getattr(connections, told)
    return classes[0] if classes else CustomConnection


def make(kind: type, name: str, values: dict[str, str]) -> Any:
    from promptflow.connections import BingConnection
    from promptflow.core._connection import CustomConnection, CustomStrongTypeConnection

    if issubclass(kind, (CustomConnection, CustomStrongTypeConnection)):
        return kind(secrets=Granted(values, name, True), configs=Granted(values, name, False), name=name)
    key = values.get("api_key") or PLACEHOLDER + name
    if kind is BingConnection:
        return kind(api_key=key)
    connection = kind(**_fields(kind, values, key), name=name)
    if "model" in values:
        connection.configs["model"] = values["model"]
    return connection


def _fields(kind: type, values: dict[str, str], key: str) -> dict[str, Any]:
    import inspect

    fields: dict[str, Any] = {"api_key": key}
    for name, parameter in inspect.signature(kind.__init__).parameters.items():
        if name in values:
            fields[name] = values[name]
        elif parameter.default is inspect.Parameter.empty and name in ("api_base", "endpoint"):
            # A connection that does not say, such as `offline`, is not reached by an address.
            fields[name] = ""
    return fields


def resolve_configuration(value: Any) -> Any:
    """A model configuration that names a connection, with what the connection says, as the `init` of a flex flow."""
    from promptflow.core._connection import AzureOpenAIConnection, OpenAIConnection
    from promptflow.core._model_configuration import AzureOpenAIModelConfiguration, OpenAIModelConfiguration

    if isinstance(value, AzureOpenAIModelConfiguration) and value.connection:
        connection = get(value.connection, [AzureOpenAIConnection])
        return AzureOpenAIModelConfiguration.from_connection(connection, value.azure_deployment)
    if isinstance(value, OpenAIModelConfiguration) and value.connection:
        return OpenAIModelConfiguration.from_connection(get(value.connection, [OpenAIConnection]), value.model)
    return value

"""Which connection a client of a model's service uses. The address and the key of a client are not used: the host has
its own. What tells is, in this order:

1. a key that is the placeholder of a connection: it came out of a connection object, or of an environment variable
   that the flow file fills with `${NAME.api_key}`. That of a token of an identity names none, and says nothing;
2. an address that is the one of a connection of which the node may read the address;
3. `WEIR_LLM_CONNECTION`, a variable by which a flow file says it outright;
4. the only connection that the node holds, as `WEIR_LLM_CONNECTIONS` tells: the names of all, separated by commas;
5. the name that prompt flow's own examples use: `azure_open_ai_connection` of an Azure client, else
   `open_ai_connection`. If the node does not hold it, the host says which grant it wants.

Flows that use a client by hand often look for its key in the environment first, and give up without one. Where
`WEIR_LLM_CONNECTIONS` names a connection, the variables of OpenAI's clients that the flow's sources name, and that are
not set, are set to its placeholder.
"""

from __future__ import annotations

import os
import re
from typing import Any

from . import connections, host

_KEYS = ("AZURE_OPENAI_API_KEY", "OPENAI_API_KEY", "AZURE_OPENAI_KEY")
_ADDRESSES = ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_BASE")
_NAMED = re.compile(r"\b(" + "|".join(_KEYS + _ADDRESSES) + r")\b")

#: Which of the variables the flow's sources name; found while the component is built.
named_variables: set[str] = set()

AZURE, OPENAI = "azure_open_ai_connection", "open_ai_connection"


def of_client(key: Any, address: Any, azure: bool) -> str:
    """The name of the connection that a client is made for."""
    named = connections.name_in(key)
    if named:
        return named
    if isinstance(address, str) and address:
        wanted = address.rstrip("/")
        for setting, value in host.settings().items():
            name, _, field = setting.rpartition(".")
            if field in ("api_base", "base_url", "endpoint") and value.rstrip("/") == wanted:
                return name
    return fallback(azure)


def fallback(azure: bool) -> str:
    said = os.environ.get("WEIR_LLM_CONNECTION")
    if said:
        return said
    held = [name for name in os.environ.get("WEIR_LLM_CONNECTIONS", "").split(",") if name]
    if len(held) == 1:
        return held[0]
    usual = AZURE if azure else OPENAI
    return usual if usual in held or not held else held[0]


def find_variables(source: str) -> None:
    named_variables.update(_NAMED.findall(source))
    if ".from_env(" in source:
        named_variables.update(("AZURE_OPENAI_API_KEY", "OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"))


def fill_environment() -> None:
    """Sets the variables of OpenAI's clients that the flow looks for and the host did not set."""
    if not os.environ.get("WEIR_LLM_CONNECTIONS"):
        return
    for name in named_variables - set(os.environ):
        connection = fallback(name.startswith("AZURE"))
        key = connections.PLACEHOLDER + connection
        os.environ[name] = key if name in _KEYS else f"https://{connection}.invalid/"


def of_configuration(configuration: Any) -> str:
    """The name of the connection that the `model.configuration` of a prompty means."""
    from promptflow.core._connection import AzureOpenAIConnection, OpenAIConnection, _Connection
    from promptflow.core._errors import UnknownConnectionType
    from promptflow.core._model_configuration import AzureOpenAIModelConfiguration, ModelConfiguration

    if isinstance(configuration, ModelConfiguration):
        if configuration.connection:
            return configuration.connection
        azure = isinstance(configuration, AzureOpenAIModelConfiguration)
        address = configuration.azure_endpoint if azure else configuration.base_url
        return of_client(configuration.api_key, address, azure)
    connection = configuration.get("connection")
    if isinstance(connection, _Connection):
        return connection.name or of_client(
            connection["api_key"], connection.configs.get("api_base") or connection.configs.get("base_url"), True
        )
    if connection:
        return connection
    kind = configuration.get("type")
    if kind not in ("azure_openai", "openai", AzureOpenAIConnection.TYPE, OpenAIConnection.TYPE):
        raise UnknownConnectionType(
            message=f"Not Support connection type {kind} for embedding api. "
            f"Connection type should be in [{AzureOpenAIConnection.TYPE}, {OpenAIConnection.TYPE}]."
        )
    azure = kind in ("azure_openai", AzureOpenAIConnection.TYPE)
    variables = ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT") if azure else ("OPENAI_API_KEY", "OPENAI_BASE_URL")
    key = configuration.get("api_key") or os.environ.get(variables[0])
    address = configuration.get("azure_endpoint") or configuration.get("api_base") or configuration.get("base_url")
    return of_client(key, address or os.environ.get(variables[1]), azure)

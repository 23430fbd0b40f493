"""Connections, as parameters of tools are annotated with them."""

from dataclasses import dataclass

from promptflow._core.tools_manager import register_connections
from promptflow.contracts.types import Secret
from promptflow.core._connection import (
    AzureAIServicesConnection,
    AzureContentSafetyConnection,
    AzureOpenAIConnection,
    CognitiveSearchConnection,
    CustomConnection,
    CustomStrongTypeConnection,
    FormRecognizerConnection,
    OpenAIConnection,
    QdrantConnection,
    SerpConnection,
    ServerlessConnection,
    WeaviateConnection,
    _Connection,
)


@dataclass
class BingConnection:
    api_key: Secret
    url: str = "https://api.bing.microsoft.com/v7.0/search"


class ConnectionProvider:
    """Gives connections by their names."""

    @classmethod
    def get_instance(cls, **kwargs):
        return cls()

    def get(self, name, **kwargs):
        from weir_python import connections

        return connections.get(name, [])


__all__ = [
    "AzureAIServicesConnection",
    "AzureContentSafetyConnection",
    "AzureOpenAIConnection",
    "CognitiveSearchConnection",
    "ConnectionProvider",
    "CustomConnection",
    "CustomStrongTypeConnection",
    "FormRecognizerConnection",
    "OpenAIConnection",
    "QdrantConnection",
    "SerpConnection",
    "ServerlessConnection",
    "WeaviateConnection",
]

register_connections(
    [kind for kind in list(globals().values()) if isinstance(kind, type) and issubclass(kind, _Connection)]
)

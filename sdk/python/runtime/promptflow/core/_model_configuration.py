"""Which model a prompty or the class of a flex flow uses."""

from dataclasses import dataclass
from typing import Union

from promptflow._constants import ConnectionType
from promptflow.core._errors import InvalidConnectionError


class ModelConfiguration:
    @classmethod
    def from_connection(cls, connection, **kwargs):
        raise NotImplementedError


@dataclass
class AzureOpenAIModelConfiguration(ModelConfiguration):
    azure_deployment: str
    azure_endpoint: str = None
    api_version: str = None
    api_key: str = None
    #: The name of a connection; it excludes the three above.
    connection: str = None

    def __post_init__(self):
        self._type = ConnectionType.AZURE_OPEN_AI.value
        if any([self.azure_endpoint, self.api_key, self.api_version]) and self.connection:
            raise InvalidConnectionError("Cannot configure model config and connection at the same time.")

    @classmethod
    def from_connection(cls, connection, azure_deployment: str):
        return cls(azure_deployment, connection.api_base, connection.api_version, connection.api_key)


@dataclass
class OpenAIModelConfiguration(ModelConfiguration):
    model: str
    base_url: str = None
    api_key: str = None
    organization: str = None
    #: The name of a connection; it excludes the three above.
    connection: str = None

    def __post_init__(self):
        self._type = ConnectionType.OPEN_AI.value
        if any([self.base_url, self.api_key, self.organization]) and self.connection:
            raise InvalidConnectionError("Cannot configure model config and connection at the same time.")

    @classmethod
    def from_connection(cls, connection, model: str):
        return cls(model, connection.base_url, connection.api_key, connection.organization)


@dataclass
class PromptyModelConfiguration:
    """The `model` of a prompty."""

    configuration: Union[dict, AzureOpenAIModelConfiguration, OpenAIModelConfiguration] = None
    parameters: dict = None
    api: str = "chat"
    response: str = "first"

    def __post_init__(self):
        self.parameters = {} if self.parameters is None else self.parameters
        configuration = self.configuration = {} if self.configuration is None else self.configuration
        if isinstance(configuration, dict):
            plain = ("type", "connection", "model", "azure_deployment")
            if configuration.get("connection") and any(v for k, v in configuration.items() if k not in plain):
                raise InvalidConnectionError(
                    "Cannot configure model config and connection in configuration at the same time."
                )
            self._model = configuration.get("azure_deployment") or configuration.get("model")
        elif isinstance(configuration, OpenAIModelConfiguration):
            self._model = configuration.model
        else:
            self._model = configuration.azure_deployment


MODEL_CONFIG_NAME_2_CLASS = {kind.__name__: kind for kind in (AzureOpenAIModelConfiguration, OpenAIModelConfiguration)}

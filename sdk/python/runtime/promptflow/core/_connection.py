"""Connections as objects. Their keys stay in the host: see weir_python/connections.py for where values come from."""

import importlib
import os
import types

from promptflow._constants import ConnectionType
from promptflow.constants import ConnectionAuthMode, ConnectionDefaultApiVersion
from promptflow.contracts.types import Secret
from promptflow.core._errors import RequiredEnvironmentVariablesNotSetError
from promptflow.exceptions import UserErrorException

_SCRUBBED = "******"


class _Connection:
    """What a service is reached by: `configs` and `secrets`, by name."""

    SUPPORTED_TYPES = {}
    TYPE = ConnectionType._NOT_SET.value

    def __init__(self, name=None, module="promptflow.connections", configs=None, secrets=None, **kwargs):
        self.name = name
        self.type = self.TYPE
        self.class_name = f"{self.TYPE}Connection"
        self.configs = {} if configs is None else configs
        self.module = module
        self.secrets = {} if secrets is None else secrets
        self.expiry_time = kwargs.get("expiry_time")
        self.created_date = kwargs.get("created_date")
        self.last_modified_date = kwargs.get("last_modified_date")

    def keys(self):
        return list(dict.fromkeys([*self.configs, *self.secrets]))

    def __getitem__(self, item):
        if item in self.secrets:
            return self.secrets[item]
        if item in self.configs:
            return self.configs[item]
        raise KeyError(f"Key {item!r} not found in connection {self.name!r}.")

    def __repr__(self):
        return f"{type(self).__name__}({self.name!r})"

    def _to_execution_connection_dict(self):
        values = {name: value for name, value in {**self.configs, **self.secrets}.items() if value is not None}
        return {
            "name": self.name,
            "type": self.class_name,
            "module": self.module,
            "value": values,
            "secret_keys": list(self.secrets),
        }


def _config(name):
    """A property that is a value of `configs`."""
    return property(lambda self: self.configs.get(name), lambda self, value: self.configs.__setitem__(name, value))


class _StrongTypeConnection(_Connection):
    @property
    def _has_api_key(self):
        return True

    @property
    def api_key(self):
        return self.secrets.get("api_key", _SCRUBBED) if self._has_api_key else None

    @api_key.setter
    def api_key(self, value):
        self.secrets["api_key"] = value


class _StrongTypeAADSupportedConnection(_StrongTypeConnection):
    _token_provider = None

    @property
    def _has_api_key(self):
        return self.auth_mode == ConnectionAuthMode.KEY

    @property
    def auth_mode(self):
        return self.configs.get("auth_mode", ConnectionAuthMode.KEY)

    @auth_mode.setter
    def auth_mode(self, value):
        self.configs["auth_mode"] = value

    def get_token(self):
        from promptflow._core.token_provider import AzureTokenProvider

        return (self._token_provider or AzureTokenProvider(self.name or "identity")).get_token()


class AzureOpenAIConnection(_StrongTypeAADSupportedConnection):
    TYPE = ConnectionType.AZURE_OPEN_AI.value

    def __init__(
        self,
        api_base,
        api_key=None,
        api_type="azure",
        api_version=ConnectionDefaultApiVersion.AZURE_OPEN_AI,
        auth_mode=ConnectionAuthMode.KEY,
        resource_id=None,
        **kwargs,
    ):
        configs = {
            "api_base": api_base,
            "api_type": api_type,
            "api_version": api_version,
            "auth_mode": auth_mode,
            "resource_id": resource_id,
        }
        secrets = {"api_key": api_key} if auth_mode == ConnectionAuthMode.KEY else {}
        super().__init__(configs=configs, secrets=secrets, **kwargs)
        self._token_provider = kwargs.get("token_provider")

    api_base, api_type, api_version = _config("api_base"), _config("api_type"), _config("api_version")
    resource_id = _config("resource_id")

    @classmethod
    def from_env(cls, name=None):
        """From `AZURE_OPENAI_ENDPOINT`, `AZURE_OPENAI_API_KEY` and `OPENAI_API_VERSION`."""
        api_base, api_key = os.getenv("AZURE_OPENAI_ENDPOINT"), os.getenv("AZURE_OPENAI_API_KEY")
        if api_base is None or api_key is None:
            raise RequiredEnvironmentVariablesNotSetError(
                ["AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY"], cls.__name__
            )
        version = os.getenv("OPENAI_API_VERSION")
        return cls(api_base=api_base, api_key=api_key, name=name, **({"api_version": version} if version else {}))


class OpenAIConnection(_StrongTypeConnection):
    TYPE = ConnectionType.OPEN_AI.value

    def __init__(self, api_key, organization=None, base_url=None, **kwargs):
        configs = {"organization": organization, "base_url": None if base_url in ("", "_") else base_url}
        super().__init__(configs=configs, secrets={"api_key": api_key}, **kwargs)

    organization, base_url = _config("organization"), _config("base_url")

    @classmethod
    def from_env(cls, name=None):
        """From `OPENAI_API_KEY`, `OPENAI_BASE_URL` and `OPENAI_ORG_ID`."""
        api_key = os.getenv("OPENAI_API_KEY")
        if api_key is None:
            raise RequiredEnvironmentVariablesNotSetError(["OPENAI_API_KEY"], cls.__name__)
        return cls(api_key, os.getenv("OPENAI_ORG_ID"), os.getenv("OPENAI_BASE_URL"), name=name)


class ServerlessConnection(_StrongTypeConnection):
    TYPE = ConnectionType.SERVERLESS.value

    def __init__(self, api_key, api_base, **kwargs):
        super().__init__(secrets={"api_key": api_key}, configs={"api_base": api_base}, **kwargs)

    api_base = _config("api_base")


class SerpConnection(_StrongTypeConnection):
    TYPE = ConnectionType.SERP.value

    def __init__(self, api_key, **kwargs):
        super().__init__(secrets={"api_key": api_key}, **kwargs)


class _EmbeddingStoreConnection(_StrongTypeConnection):
    def __init__(self, api_key, api_base, **kwargs):
        configs, secrets = {"api_base": api_base}, {"api_key": api_key}
        super().__init__(module="promptflow_vectordb.connections", configs=configs, secrets=secrets, **kwargs)

    api_base = _config("api_base")


class QdrantConnection(_EmbeddingStoreConnection):
    TYPE = ConnectionType.QDRANT.value


class WeaviateConnection(_EmbeddingStoreConnection):
    TYPE = ConnectionType.WEAVIATE.value


class CognitiveSearchConnection(_StrongTypeAADSupportedConnection):
    TYPE = ConnectionType.COGNITIVE_SEARCH.value

    def __init__(
        self,
        api_base,
        api_key=None,
        api_version=ConnectionDefaultApiVersion.COGNITIVE_SEARCH,
        auth_mode=ConnectionAuthMode.KEY,
        **kwargs,
    ):
        configs = {"api_base": api_base, "api_version": api_version, "auth_mode": auth_mode}
        secrets = {"api_key": api_key} if auth_mode == ConnectionAuthMode.KEY else {}
        super().__init__(configs=configs, secrets=secrets, **kwargs)

    api_base, api_version = _config("api_base"), _config("api_version")


class AzureAIServicesConnection(_StrongTypeAADSupportedConnection):
    TYPE = ConnectionType.AZURE_AI_SERVICES.value

    def __init__(self, endpoint, api_key=None, auth_mode=ConnectionAuthMode.KEY, **kwargs):
        secrets = {"api_key": api_key} if auth_mode == ConnectionAuthMode.KEY else {}
        super().__init__(configs={"endpoint": endpoint, "auth_mode": auth_mode}, secrets=secrets, **kwargs)

    endpoint = _config("endpoint")


class AzureContentSafetyConnection(_StrongTypeConnection):
    TYPE = ConnectionType.AZURE_CONTENT_SAFETY.value

    def __init__(
        self,
        api_key,
        endpoint,
        api_version=ConnectionDefaultApiVersion.AZURE_CONTENT_SAFETY,
        api_type="Content Safety",
        **kwargs,
    ):
        configs = {"endpoint": endpoint, "api_version": api_version, "api_type": api_type}
        super().__init__(configs=configs, secrets={"api_key": api_key}, **kwargs)

    endpoint, api_version, api_type = _config("endpoint"), _config("api_version"), _config("api_type")


class FormRecognizerConnection(AzureContentSafetyConnection):
    TYPE = ConnectionType.FORM_RECOGNIZER.value

    def __init__(
        self,
        api_key,
        endpoint,
        api_version=ConnectionDefaultApiVersion.FORM_RECOGNIZER,
        api_type="Form Recognizer",
        **kwargs,
    ):
        super().__init__(api_key, endpoint, api_version, api_type, **kwargs)


class CustomStrongTypeConnection(_Connection):
    """A connection whose class says what it holds: annotated with `Secret` what is secret."""

    def __init__(self, secrets, configs=None, **kwargs):
        super().__init__(configs=configs or {}, secrets=secrets, **kwargs)
        self.custom_type = kwargs.get("custom_type") or type(self).__name__

    def __getattribute__(self, item):
        annotations = super().__getattribute__("__class__").__annotations__
        if item in annotations:
            return (self.secrets if annotations[item] == Secret else self.configs)[item]
        return super().__getattribute__(item)

    def __setattr__(self, key, value):
        annotations = super().__getattribute__("__class__").__annotations__
        if key in annotations:
            (self.secrets if annotations[key] == Secret else self.configs)[key] = value
        return super().__setattr__(key, value)


class CustomConnection(_Connection):
    """A connection that holds anything."""

    TYPE = ConnectionType.CUSTOM.value

    def __init__(self, secrets, configs=None, **kwargs):
        super().__init__(secrets=secrets, configs=configs, **kwargs)

    def __getattr__(self, item):
        if item.startswith("__") or item in ("secrets", "configs"):
            raise AttributeError(item)
        for values in (self.secrets, self.configs):
            if item in values:
                return values[item]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {item!r}")

    def is_secret(self, item):
        return item in self.secrets

    def _convert_to_custom_strong_type(self, module=None, to_class=None):
        if to_class == type(self).__name__:
            return self
        if isinstance(module, str):
            module = importlib.import_module(module)
        if not isinstance(module, types.ModuleType) or not isinstance(to_class, str):
            raise UserErrorException(
                f"Failed to convert to custom strong type connection because of invalid module or class: "
                f"{module}, {to_class}"
            )
        return getattr(module, to_class)(configs=self.configs, secrets=self.secrets, name=self.name)


_Connection.SUPPORTED_TYPES = {
    kind.TYPE: kind
    for kind in list(globals().values())
    if isinstance(kind, type) and issubclass(kind, _Connection) and not kind.__name__.startswith("_")
}

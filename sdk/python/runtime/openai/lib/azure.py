"""The Azure form of the client, under the module that OpenAI's client keeps it in."""

from .._client import AsyncAzureOpenAI, AzureOpenAI  # noqa: F401

"""The same, awaited."""

import time

from azure import identity
from azure.identity import AccessToken
from weir_python.connections import PLACEHOLDER


class _Credential(identity._Credential):
    async def get_token(self, *scopes, **_):
        return AccessToken(PLACEHOLDER, int(time.time()) + 3600)

    get_token_info = get_token

    async def close(self):
        return None

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None


class DefaultAzureCredential(_Credential):
    pass


class ManagedIdentityCredential(_Credential):
    pass


class ClientSecretCredential(_Credential):
    pass


class AzureCliCredential(_Credential):
    pass


class ChainedTokenCredential(_Credential):
    pass


def get_bearer_token_provider(credential, *scopes):
    async def provider():
        return (await credential.get_token(*scopes)).token

    return provider

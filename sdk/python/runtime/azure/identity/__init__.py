"""The credentials of azure-identity as nodes use them: they give what stands for a token, and the host has the real one.

A client of a model that is made with one asks the connection that it means (see weir_python/models.py), of which the host
knows how it authenticates. A request over HTTP that carries such a token goes without it, and gets the host's where
`grants.http` names a connection. The original needs native code, and could know no identity in a sandbox.
"""

import time
from collections import namedtuple

from weir_python.connections import PLACEHOLDER

try:
    from azure.core.credentials import AccessToken
    from azure.core.exceptions import ClientAuthenticationError
except ImportError:
    AccessToken = namedtuple("AccessToken", ["token", "expires_on"])

    class ClientAuthenticationError(Exception):
        pass


class CredentialUnavailableError(ClientAuthenticationError):
    """A credential that has nothing to go by."""


class _Credential:
    """Takes every setting; tokens are the host's."""

    def __init__(self, *args, **kwargs):
        self.credentials = args

    def get_token(self, *scopes, **_):
        return AccessToken(PLACEHOLDER, int(time.time()) + 3600)

    get_token_info = get_token

    def close(self):
        return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


class DefaultAzureCredential(_Credential):
    pass


class ManagedIdentityCredential(_Credential):
    pass


class ClientSecretCredential(_Credential):
    pass


class AzureCliCredential(_Credential):
    pass


class EnvironmentCredential(_Credential):
    pass


class WorkloadIdentityCredential(_Credential):
    pass


class ChainedTokenCredential(_Credential):
    pass


class InteractiveBrowserCredential(_Credential):
    pass


def get_bearer_token_provider(credential, *scopes):
    return lambda: credential.get_token(*scopes).token


class AzureAuthorityHosts:
    AZURE_PUBLIC_CLOUD = "login.microsoftonline.com"
    AZURE_CHINA = "login.chinacloudapi.cn"
    AZURE_GOVERNMENT = "login.microsoftonline.us"

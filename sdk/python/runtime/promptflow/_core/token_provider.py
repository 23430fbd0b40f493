"""Tokens of Microsoft Entra ID, which stay in the host as keys do."""

from weir_python.connections import PLACEHOLDER


class TokenProviderABC:
    def get_token(self):
        raise NotImplementedError


class AzureTokenProvider(TokenProviderABC):
    """Gives what stands for a token: the host puts its own in its place."""

    def __init__(self, name="identity"):
        self._name = name

    def get_token(self):
        return PLACEHOLDER + self._name

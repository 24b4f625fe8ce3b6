"""Azure AI Foundry Agent Service (classic): the protocol below a project's endpoint, with tokens instead of keys."""

from urllib.parse import urlsplit

import msgspec

from ..errors import ConfigurationError
from ._base import Settings
from ._profile import Profile
from ._tokens import TokenCredential, TokenProvider, Tokens
from .http import HttpBackend

SCOPE = "https://ai.azure.com/.default"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_OPENAI_ACCOUNT = ("openai-organization", "openai-project")


class AzureBackend(HttpBackend):
    """A project of Azure AI Foundry, as long as it serves the classic agents: until the end of March 2027.

        credential = DefaultAzureCredential()  # from azure.identity.aio; you close it
        client = AsyncClient(backend=AzureBackend(endpoint, credential=credential))

    The client's own `api_key` is not used, nor are its organization and project. A request that is refused with 401 is sent
    once more, with a new token.

    Args:
        endpoint: the project's, such as `https://my.services.ai.azure.com/api/projects/mine`.
        credential: an object of azure-identity, plain or `aio`, whose tokens are kept until five minutes before their end;
            or an async function that returns a token, which is called for each request and keeps tokens itself. What is not
            async is called in a thread. What it raises, the request raises; what gives nothing within 300 seconds is an
            `APITimeoutError`.
        api_version: sent with every request.
        scope: what tokens are asked for.

    Raises:
        ConfigurationError: the endpoint is none of a project, or would send tokens over plain http to another machine; or
            the credential is neither.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        credential: TokenCredential | TokenProvider,
        api_version: str = "v1",
        scope: str = SCOPE,
    ) -> None:
        super().__init__(endpoint, profile=Profile(query=(("api-version", api_version),), joins_include=True))
        parts = urlsplit(self.base_url)
        if "/api/projects/" not in parts.path:
            raise ConfigurationError(
                "endpoint must be that of a project, such as https://my.services.ai.azure.com/api/projects/mine"
            )
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise ConfigurationError("endpoint must begin with https://: a token goes with every request")
        self._tokens = Tokens(credential, scope)

    def start(self, settings: Settings) -> None:
        """Is called by the client this backend belongs to."""
        headers = {name: value for name, value in settings.headers.items() if name.lower() not in _OPENAI_ACCOUNT}
        super().start(msgspec.structs.replace(settings, credentials=self._tokens, headers=headers))

    def __repr__(self) -> str:
        return f"AzureBackend({self.base_url!r})"

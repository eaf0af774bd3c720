"""Anthropic, and every server that speaks its Messages."""

from chatnest.adapters.providers.sdk_provider import ClientMaker, SdkProvider
from chatnest.domain.capabilities import Capabilities

_CAPABILITIES = Capabilities(tools=True, images=True, wire="anthropic", user_first=True)


class AnthropicProvider(SdkProvider):
    """Streams answers from Anthropic, or from the compatible server at *base_url*.

    Its arguments are :class:`~chatnest.adapters.providers.sdk_provider.SdkProvider`'s. Its
    environment variables are ``ANTHROPIC_API_KEY``, else ``ANTHROPIC_AUTH_TOKEN``, and
    ``ANTHROPIC_BASE_URL``. The SDK's profiles and federated credentials are not used: they change
    while a server runs.

    Raises:
        ConfigurationError: the SDK is not installed, or there is no usable key, address or proxy.
    """

    sdk = "anthropic"
    key_variables = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
    base_url_variable = "ANTHROPIC_BASE_URL"

    @property
    def capabilities(self) -> Capabilities:
        """Everything that the wire can say; a conversation begins with the person."""
        return _CAPABILITIES

    @staticmethod
    def _client_maker() -> ClientMaker:
        from chatnest.adapters.providers.anthropic_client import messages_client

        return messages_client

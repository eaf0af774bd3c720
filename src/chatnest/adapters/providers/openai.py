"""OpenAI, and every server that speaks its Chat Completions."""

from chatnest.adapters.providers.sdk_provider import ClientMaker, SdkProvider
from chatnest.domain.capabilities import Capabilities

_CAPABILITIES = Capabilities(tools=True, images=True, wire="openai")


class OpenAIProvider(SdkProvider):
    """Streams answers from OpenAI, or from the compatible server at *base_url*.

    Its arguments are :class:`~chatnest.adapters.providers.sdk_provider.SdkProvider`'s. Its
    environment variables are ``OPENAI_API_KEY`` and ``OPENAI_BASE_URL``.

    Raises:
        ConfigurationError: the SDK is not installed, or there is no usable key, address or proxy.
    """

    sdk = "openai"
    key_variables = ("OPENAI_API_KEY",)
    base_url_variable = "OPENAI_BASE_URL"

    @property
    def capabilities(self) -> Capabilities:
        """Everything that the wire can say."""
        return _CAPABILITIES

    @staticmethod
    def _client_maker() -> ClientMaker:
        from chatnest.adapters.providers.openai_client import completions_client

        return completions_client

"""The example's provider passes the suite that every provider passes."""

import pytest

from chatnest import ChatProvider
from chatnest.testing.providers import ProviderContract
from examples.custom_provider import ReverseProvider


class TestReverseProvider(ProviderContract):
    @pytest.fixture
    def provider(self) -> ChatProvider:
        return ReverseProvider()

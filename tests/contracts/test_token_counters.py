"""Every token counter passes the suite of its port."""

import pytest

from chatnest.adapters.tokenizers import BpeTokenCounter
from chatnest.domain.ports import TokenCounter
from chatnest.testing.tokens import TokenCounterContract


class TestBpeTokenCounter(TokenCounterContract):
    models = (
        "gpt-4o",
        "gpt-4",
        "gpt-oss-20b",
        "claude-sonnet-4-5",
        "claude-opus-5",
        "llama3.1:8b",
        "qwen2.5-7b-instruct",
        "smollm2-135m-instruct",
        "a-model-nobody-knows",
    )

    @pytest.fixture
    def counter(self) -> TokenCounter:
        return BpeTokenCounter()

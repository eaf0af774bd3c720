"""Token counters: how many tokens a text is for a model."""

from chatnest.adapters.tokenizers.bpe import BpeTokenCounter

__all__ = ["BpeTokenCounter"]

"""The words of an error object, without the sentences: those may repeat what somebody wrote."""

import re
from collections.abc import Callable, Mapping

from chatnest.domain.errors import Failure, ProviderError
from chatnest.domain.retry import classify


def error_words(error: object) -> tuple[str | None, str | None]:
    """The words in an error object, the more specific first; sentences are left out.

    That is its code and its type, but llama.cpp and OpenRouter send a status as the code.
    """
    if not isinstance(error, Mapping):
        return None, None
    code, error_type = _word(error.get("code")), _word(error.get("type"))
    if code is None or code.isdecimal():
        return error_type, code
    return code, error_type


ErrorWords = Callable[[object], tuple[str | None, str | None]]
"""Finds the words in the error object of a wire, the more specific first."""


def error_inside(error: object, words: ErrorWords = error_words) -> ProviderError:
    """What an error object that came in the middle of a stream means, by its *words*."""
    code, error_type = words(error)
    kind = classify(None, code, error_type)
    failure = Failure(kind, code=code or error_type)
    return ProviderError(f"the stream carried an error: {failure.code or kind}", failure)


def _word(value: object) -> str | None:
    # These go into messages and the journal, where nothing of a prompt may end up.
    word = str(value)
    return word if value is not None and re.fullmatch(r"[\w.:-]{1,64}", word, re.A) else None

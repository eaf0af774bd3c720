"""A text that no wire takes: one with a NUL, anywhere in a body."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.transport.text_checks import refuse_nul
from chatnest.domain.errors import InvalidRequestError

TEXTS = st.sampled_from(["", "a", "\0", "a\0b", "\\u0000", "\\\0", "\\\\u0000", "u0000"])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers(0, 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def holds_nul(value: object) -> bool:
    if isinstance(value, dict):
        return any(holds_nul(name) or holds_nul(item) for name, item in value.items())
    if isinstance(value, list):
        return any(map(holds_nul, value))
    return isinstance(value, str) and "\0" in value


def is_refused(body: bytes) -> bool:
    try:
        refuse_nul(body)
    except InvalidRequestError:
        return True
    return False


@given(JSON, st.booleans())
def test_a_body_is_refused_exactly_if_a_text_or_a_name_holds_a_nul(
    value: object, ascii_only: bool
) -> None:
    assert is_refused(json.dumps(value, ensure_ascii=ascii_only).encode()) is holds_nul(value)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"a": "x", "b": [1, "\0"], "c": "\0"}, "b[1]"),
        ({"messages": [{"content": [{"text": "\0"}]}]}, "messages[0].content[0].text"),
        ({"a": {"\0": 1}}, "a"),
        ({"a": {"b c": {"d": "\0"}}}, "a.d"),
        ({"\0": 1}, None),
        ("\0", None),
        ([*["x"] * 100_000, "\0"], "[100000]"),
    ],
)
def test_the_first_field_with_a_nul_is_named(value: object, field: str | None) -> None:
    with pytest.raises(InvalidRequestError, match="NUL") as caught:
        refuse_nul(json.dumps(value).encode())
    assert caught.value.field == field


def test_at_every_depth_a_nul_is_found_or_the_body_refused() -> None:
    for depth in (10, 100, 1_000, 100_000):
        assert is_refused(b"[" * depth + b'"\\u0000"' + b"]" * depth)

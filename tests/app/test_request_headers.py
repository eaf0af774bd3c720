"""Headers are read as they came, in their order."""

from typing import Any

from litestar.connection import ASGIConnection

from chatnest.app.request_headers import first_header, header_values


def connection(*headers: tuple[bytes, bytes]) -> ASGIConnection[Any, Any, Any, Any]:
    scope: Any = {"type": "http", "headers": headers}
    return ASGIConnection(scope)


def test_a_header_is_found_by_its_whole_name() -> None:
    asked = connection((b"x-api", b"1"), (b"x-api-key", b"2"), (b"x-api-keys", b"3"))
    assert first_header(asked, b"x-api-key") == "2"
    assert header_values(asked, b"x-api-key") == ["2"]


def test_of_a_repeated_header_the_first_counts_and_all_can_be_seen() -> None:
    asked = connection((b"a", b"1"), (b"b", b"2"), (b"a", b"3"))
    assert first_header(asked, b"a") == "1"
    assert header_values(asked, b"a") == ["1", "3"]


def test_what_is_not_there_is_empty() -> None:
    assert first_header(connection(), b"a") == ""
    assert header_values(connection(), b"a") == []


def test_any_byte_is_a_character() -> None:
    assert first_header(connection((b"a", b"\xe9\xff")), b"a") == "éÿ"

"""The headers of a request, read where they lie.

To make Litestar's mapping of them takes longer than to read the few that are wanted.
"""

from typing import Any

from litestar.connection import ASGIConnection


def header_values(connection: ASGIConnection[Any, Any, Any, Any], name: bytes) -> list[str]:
    """Every value of the header *name*, which is in small letters as ASGI has them all."""
    return [
        value.decode("latin-1") for given, value in connection.scope["headers"] if given == name
    ]


def first_header(connection: ASGIConnection[Any, Any, Any, Any], name: bytes) -> str:
    """The first value of the header *name*; empty where there is none."""
    values = header_values(connection, name)
    return values[0] if values else ""

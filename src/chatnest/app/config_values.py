"""What a single setting may be, and how people are shown it: the leaves of the configuration."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

# Descriptions complete the sentence "it must be …" in error messages. The bounds keep every number
# far inside 64 bits, also after its conversion to microseconds.
Count = Annotated[int, Meta(ge=1, le=1_000_000_000_000, description="a whole number of at least 1")]
Port = Annotated[int, Meta(ge=0, le=65_535, description="a port number from 0 to 65535")]
Seconds = Annotated[
    float, Meta(ge=0.001, le=86_400, description="a number of seconds from 0.001 to 86400")
]
LeaseSeconds = Annotated[
    float, Meta(ge=1, le=86_400, description="a number of seconds from 1 to 86400")
]
HistoryDays = Annotated[
    int, Meta(ge=1, le=36_500, description="a whole number of days from 1 to 36500")
]
Temperature = Annotated[float, Meta(ge=0, le=10, description="a number from 0 to 10")]
Text = Annotated[
    str, Meta(min_length=1, max_length=200, description="a text of 1 to 200 characters")
]
Name = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9._@-]{1,64}\Z",
        description="a name of 1 to 64 letters, digits and the signs . _ @ -",
    ),
]
Sha256 = Annotated[
    str, Meta(pattern=r"^[0-9a-fA-F]{64}\Z", description="64 hexadecimal digits (a SHA-256)")
]
UrlPath = Annotated[
    str,
    Meta(
        pattern=r"^(/|(/[A-Za-z0-9._~-]+)+)\Z",
        description="a path that begins with / and does not end with one, such as /api",
    ),
]
TargetName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9._@-]{1,64}/\S(.{0,198}\S)?\Z",
        description="PROVIDER/MODEL, such as openai/gpt-4o-mini",
    ),
]
Variable = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,199}\Z",
        description="the name of an environment variable, such as WORK_API_KEY",
    ),
]
Reference = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*\Z",
        description="package.module:callable",
    ),
]
FreeValue = Annotated[
    Any, Meta(description="a text, a number, true or false, or a list or table of them")
]
"""What an adapter of somebody else's is told; it is checked where it is understood."""

_URLS = frozenset({"base_url", "store"})


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of the tree. A name that it does not know is refused, never dropped."""

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({fields})"

    # msgspec's own __rich_repr__ would show what __repr__ hides.
    def __rich_repr__(self) -> Iterator[tuple[str, Any]]:  # type: ignore[override]
        for field in msgspec.structs.fields(self):
            yield field.name, _shown(field.name, getattr(self, field.name))


def without_credentials(url: str | None) -> str | None:
    """*url* with neither user, password nor query, for people to read."""
    if url is None:
        return None
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "…" if "@" in url else url
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    after = rest[len(authority) :]
    if "@" in after and scheme != "sqlite":
        return f"{scheme}://…"  # perhaps of a password in which nobody encoded a / or a ?
    return f"{scheme}://{authority.rpartition('@')[2]}{after.partition('?')[0]}"


def _shown(name: str, value: Any) -> Any:
    if name in _URLS:
        return without_credentials(value)
    # What an adapter of somebody else's takes may well be a secret.
    if name == "options" and isinstance(value, Mapping):
        return dict.fromkeys(value, "…")
    return value

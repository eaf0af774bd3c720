"""Which names a published price is for: rules that are data, of which the first that holds counts.

They mean what the rules of genai-prices mean. A name is in small letters before it is looked up.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Final, Generic, TypeVar

import msgspec

_COMPACT_DATE = re.compile(r"-(20\d\d)(\d\d)(\d\d)(?=[-:]|$)", re.ASCII)


class NameRule(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Holds for a name that fits *one* of its parts, all of which are in small letters.

    A part of ``every`` fits where each of the rules in it does.
    """

    equals: tuple[str, ...] = ()
    starts_with: tuple[str, ...] = ()
    ends_with: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()
    regex: tuple[str, ...] = ()
    every: tuple[tuple["NameRule", ...], ...] = ()

    def holds(self, name: str) -> bool:
        """Whether *name* fits."""
        return (
            name in self.equals
            or name.startswith(self.starts_with)
            or name.endswith(self.ends_with)
            or any(part in name for part in self.contains)
            or any(re.search(pattern, name) for pattern in self.regex)
            or any(all(rule.holds(name) for rule in rules) for rules in self.every)
        )

    @property
    def is_exact(self) -> bool:
        """Whether the rule lists the names that it holds for."""
        return not (self.starts_with or self.ends_with or self.contains or self.regex or self.every)


R = TypeVar("R", bound=NameRule)


class FirstRule(Generic[R]):
    """Rules in their order, of which the first that holds counts.

    Most of them list their names, so that only the others are tried one by one.
    """

    def __init__(self, rules: Sequence[R]) -> None:
        self.rules: Final = rules
        self._listed = _first_positions(rules)
        self._others = [(at, rule) for at, rule in enumerate(rules) if not rule.is_exact]

    def find(self, name: str) -> R | None:
        """The first rule that holds for *name*; None where none does."""
        listed = self._listed.get(name, len(self.rules))
        for position, rule in self._others:
            if position >= listed:
                break
            if rule.holds(name):
                return rule
        return self.rules[listed] if listed < len(self.rules) else None


def spellings(name: str) -> Iterator[str]:
    """*name* in small letters; and then, where there is a date such as 20260131 in it, 2026-01-31.

    Routers and proxies write the short form of names for which providers use the long one.
    """
    small = name.lower()
    yield small
    long = _COMPACT_DATE.sub(_with_hyphens, small)
    if long != small:
        yield long


def _first_positions(rules: Sequence[NameRule]) -> Mapping[str, int]:
    positions: dict[str, int] = {}
    for position, rule in enumerate(rules):
        for name in rule.equals:
            positions.setdefault(name, position)
    return positions


def _with_hyphens(found: re.Match[str]) -> str:
    year, month, day = found.groups()
    try:
        return f"-{date(int(year), int(month), int(day))}"
    except ValueError:
        return found[0]

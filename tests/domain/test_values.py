"""Values: as ``dataclass(frozen=True, slots=True)`` makes them, whoever writes the constructor."""

import copy
import inspect
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field, fields, make_dataclass, replace
from typing import Any, Generic, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatnest.domain.values import value

T = TypeVar("T")


@value
class Made:
    """What the constructor has to see to."""

    name: str
    count: int = 3
    seen: list[int] = field(default_factory=list)
    kept: dict[str, int] = field(init=False, default_factory=dict, compare=False)
    double: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "double", self.count * 2)


# The same, by the standard library.
Slow = make_dataclass(
    "Slow",
    [(each.name, each.type, each) for each in fields(Made)],
    namespace={"__post_init__": Made.__post_init__},
    frozen=True,
    slots=True,
)


@value
class Pair(Generic[T]):
    """A generic one, which can be hashed."""

    one: T
    other: T


@value
class Nothing:
    """One without fields."""


def told(made: Any) -> dict[str, object]:
    return {each.name: getattr(made, each.name) for each in fields(made)}


@given(
    st.lists(st.sampled_from(["ada", 5, [1]]), max_size=4),
    st.dictionaries(st.sampled_from(["name", "count", "seen", "kept", "self"]), st.integers(0, 9)),
)
def test_it_takes_and_refuses_what_a_dataclass_does(
    given_: list[Any], by_name: dict[str, Any]
) -> None:
    def outcome(make: Callable[..., Any]) -> object:
        try:
            return told(make(*given_, **by_name))
        except TypeError:
            return TypeError

    assert outcome(Made) == outcome(Slow)


def test_its_signature_is_a_dataclass_s() -> None:
    ours, theirs = (inspect.signature(cls).parameters.values() for cls in (Made, Slow))

    assert [(each.name, each.kind, each.annotation) for each in ours] == [
        (each.name, each.kind, each.annotation) for each in theirs
    ]


def test_each_has_its_own_of_what_a_factory_makes() -> None:
    one, other = Made("a"), Made("a")

    assert one.seen is not other.seen
    assert one.kept is not other.kept


@pytest.mark.parametrize("made", [Made("ada"), Pair(1, 2)], ids=lambda made: type(made).__name__)
def test_it_cannot_be_changed(made: Any) -> None:
    name = fields(made)[0].name
    before = getattr(made, name)

    with pytest.raises(FrozenInstanceError):
        setattr(made, name, "another")
    with pytest.raises(FrozenInstanceError):
        delattr(made, name)
    assert getattr(made, name) == before
    assert not hasattr(made, "__dict__")


@pytest.mark.parametrize(
    "made", [Made("ada", 5), Pair(1, 2), Nothing()], ids=lambda made: type(made).__name__
)
def test_it_is_of_its_class_equal_to_its_likes_and_to_its_copies(made: Any) -> None:
    cls = type(made)
    alike = cls(*[getattr(made, each.name) for each in fields(made) if each.init])

    assert cls in (Made, Pair, Nothing)
    assert made == alike
    assert made == replace(made) == copy.deepcopy(made) == pickle.loads(pickle.dumps(made))
    assert repr(made) == repr(alike)


def test_those_that_can_be_hashed_are_found_again() -> None:
    assert {Pair(1, 2): "found"}[Pair(1, 2)] == "found"
    assert Pair(1, 2) != Pair(2, 1)
    assert replace(Pair(1, 2), one=2) == Pair(2, 2)


def test_a_class_that_the_twin_could_not_set_is_refused() -> None:
    class Heir(Pair[int]):
        more: int

    class ByName:
        name: str = field(kw_only=True)

    for cls in (Heir, ByName):
        with pytest.raises(TypeError, match=rf"{cls.__name__} has fields that a value cannot have"):
            value(cls)

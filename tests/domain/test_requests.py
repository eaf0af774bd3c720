"""What a request says where its client says nothing, and that nobody can change it later."""

from dataclasses import FrozenInstanceError

import pytest

from chatnest.domain.messages import Message, Role
from chatnest.domain.profiles import BALANCED, Wishes, lower
from chatnest.domain.requests import ChatRequest, Principal

QUESTION = (Message(Role.USER, "What is the capital of France?"),)


def test_a_bare_request_wishes_for_nothing() -> None:
    request = ChatRequest(QUESTION)
    assert request.wishes == Wishes()
    assert lower(BALANCED, request.wishes) == BALANCED
    assert (request.profile, request.model, request.system_prompt) == (None, None, None)


def test_a_bare_request_passes_nothing_on_to_the_provider() -> None:
    request = ChatRequest(QUESTION)
    assert request.extra == {}
    assert request.stop == ()


def test_requests_share_no_fields_to_pass_on() -> None:
    assert ChatRequest(QUESTION).extra is not ChatRequest(QUESTION).extra


def test_a_principal_is_charged_in_its_own_scope_alone_unless_more_are_named() -> None:
    assert Principal("anna").scopes == ()
    assert Principal("anna", scopes=("team:red",)).scopes == ("team:red",)


def test_a_principal_may_name_every_profile_unless_some_are_listed() -> None:
    assert Principal("anna").profiles is None
    assert Principal("anna", profiles=frozenset()).profiles == frozenset()


def test_what_was_decided_on_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        ChatRequest(QUESTION).profile = "expanded"  # type: ignore[misc]  # it is frozen
    with pytest.raises(FrozenInstanceError):
        Principal("anna").profiles = None  # type: ignore[misc]  # it is frozen

"""The bodies of ``GET /v1/models`` and ``GET /v1/models/{name}``."""

from collections.abc import Iterable
from typing import Final

import msgspec

from chatnest.adapters.transport.data_frames import json_bytes
from chatnest.adapters.transport.openai_problems import JSON_HEADERS
from chatnest.adapters.transport.wire import WireResponse
from chatnest.domain.windows import US_PER_S

_OWNER: Final = "chatnest"


class Model(msgspec.Struct, frozen=True):
    """A route that a client may name as ``model``."""

    id: str
    created: int
    object: str = "model"
    owned_by: str = _OWNER


class ModelList(msgspec.Struct, frozen=True):
    """All of them."""

    data: tuple[Model, ...]
    object: str = "list"


def model_list(names: Iterable[str], created_at: int) -> WireResponse:
    """The routes called *names*, in their order, as made at the instant *created_at*."""
    created = created_at // US_PER_S
    models = ModelList(tuple([Model(name, created) for name in names]))
    return WireResponse(200, JSON_HEADERS, json_bytes(models))


def one_model(name: str, created_at: int) -> WireResponse:
    """The route called *name*, as made at the instant *created_at*."""
    return WireResponse(200, JSON_HEADERS, json_bytes(Model(name, created_at // US_PER_S)))

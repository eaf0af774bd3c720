"""What goes wrong with Redis, in ChatNest's words: who has to do something, and what."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from redis import exceptions

from chatnest.domain.errors import ChatNestError, ConfigurationError, StoreUnavailableError

# By the first word of the server's answer. Nothing was written where one of these is answered.
_UNAVAILABLE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "LOADING": "Redis is still loading its data",
        "READONLY": "this Redis server is a replica, which takes no writes",
        "MASTERDOWN": "this Redis server is a replica that has lost its primary",
        "MISCONF": "Redis takes no writes because it cannot save to its disk",
        "OOM": "Redis takes no writes because its memory (maxmemory) is full",
        "NOREPLICAS": "Redis takes no writes because too few replicas are connected",
        "BUSY": "Redis is busy with a script of somebody else",
        "CLUSTERDOWN": "the Redis cluster is down",
        "TRYAGAIN": "the Redis cluster is moving the ledger to another node",
        "ASK": "the Redis cluster is moving the ledger to another node",
        "MOVED": "the Redis cluster does not settle on a node for the ledger",
    }
)
_MISCONFIGURED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "WRONGPASS": "Redis does not know this user and password. Check both in the store's URL",
        "NOAUTH": "Redis asks for a password. Put it into the store's URL",
        "NOPERM": (
            "this Redis user may not run a command, or touch a key, that the ledger needs. Allow "
            "it the ledger's keys, @read, @write, @scripting, @connection and TIME"
        ),
        "WRONGTYPE": (
            "keys of the ledger are used for something else on this Redis server. Choose another "
            "name for the ledger"
        ),
    }
)


def translated(error: exceptions.RedisError | OSError, where: str) -> ChatNestError:
    """*error* for the core; *where* is the server's address, without credentials.

    What the server said is not passed on: it may repeat what it was sent.
    """
    code = _code(error)
    if code in _MISCONFIGURED:
        return ConfigurationError(f"store: {_MISCONFIGURED[code]}.")
    if isinstance(error, exceptions.AuthenticationError):
        return ConfigurationError(f"store: {_MISCONFIGURED['WRONGPASS']}.")
    if code in _UNAVAILABLE:
        return StoreUnavailableError(_UNAVAILABLE[code])
    if isinstance(error, exceptions.InvalidResponse):
        return ConfigurationError(f"store: what answers at {where} is no Redis server.")
    if isinstance(error, exceptions.ResponseError):
        return _refused(error)
    return StoreUnavailableError(f"Redis at {where} cannot be reached, or the connection was lost")


def _code(error: exceptions.RedisError | OSError) -> str:
    """The first word of the server's answer; redis-py takes off the ones that it knows."""
    known = error.status_code if isinstance(error, exceptions.RedisError) else None
    if known not in (None, "ERR"):
        return str(known)
    words = str(error).split(maxsplit=1)
    return words[0] if words else ""


def _refused(error: exceptions.ResponseError) -> ChatNestError:
    said = str(error)
    if "unauthenticated" in said:  # So is a command of many words answered before a password.
        return ConfigurationError(f"store: {_MISCONFIGURED['NOAUTH']}.")
    if "DB index" in said or said.startswith("SELECT"):
        return ConfigurationError(
            "store: the Redis server has no database of this number (a cluster has only 0). "
            "Change the number at the end of the store's URL."
        )
    return StoreUnavailableError("Redis refused a command of the ledger")

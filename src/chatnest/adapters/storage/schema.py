"""Versions of a store's schema: how an older one comes forward, and why a newer one is refused."""

from chatnest.domain.errors import ConfigurationError


def migrations_to_run(found: int, known: int) -> range:
    """The versions to bring a schema of version *found* to, in order, up to *known*.

    Zero is an empty store.

    Raises:
        ConfigurationError: a newer ChatNest has written it, which this one might spoil.
    """
    if found > known:
        raise ConfigurationError(
            f"store: the ledger has schema version {found}, and this ChatNest knows versions up "
            f"to {known}. Upgrade ChatNest on this machine, or choose another store."
        )
    return range(found + 1, known + 1)

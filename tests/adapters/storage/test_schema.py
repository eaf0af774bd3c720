"""Which migrations run, and which ledgers are refused."""

import pytest

from chatnest.adapters.storage.schema import migrations_to_run
from chatnest.domain.errors import ConfigurationError


@pytest.mark.parametrize(
    ("found", "known", "versions"),
    [(0, 1, [1]), (0, 3, [1, 2, 3]), (1, 3, [2, 3]), (3, 3, []), (0, 0, [])],
)
def test_every_version_after_the_found_one_is_run_in_order(
    found: int, known: int, versions: list[int]
) -> None:
    assert list(migrations_to_run(found, known)) == versions


@pytest.mark.parametrize(("found", "known"), [(2, 1), (9, 3), (1, 0)])
def test_a_ledger_of_a_newer_version_is_refused(found: int, known: int) -> None:
    with pytest.raises(ConfigurationError, match=rf"version {found},.* up to {known}\. Upgrade"):
        migrations_to_run(found, known)

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.provider_packages import Packages


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Packages]:
    """A folder on the path for packages that bring providers."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    installed = Packages(folder)
    yield installed
    installed.clear()

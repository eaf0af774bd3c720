"""What holds for every test: one event loop, a known environment, and how hard properties try."""

import os
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import settings
from schemathesis.pytest.plugin import SchemathesisFunction

# Imported for what it reads from the environment, before that is hidden below.
import tests.support.services  # noqa: F401

# The contract suites are modules of the product: pytest explains only what it is told to.
pytest.register_assert_rewrite("chatnest.testing")

# A deadline for one example measures the machine, not the code; pytest-timeout bounds each test.
settings.register_profile("default", deadline=None, max_examples=100)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, print_blob=True)
settings.register_profile("nightly", settings.get_profile("default"), max_examples=10_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# These choose a provider or change the configuration of the product under test.
CHOOSING_VARIABLES = ("OPENAI_", "ANTHROPIC_", "CHATNEST_")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test an id of its own: of two with one id, workers run the first alone."""
    for item in items:
        if isinstance(item, SchemathesisFunction):
            # pytest 9.2 leaves out of the id what schemathesis adds to the name.
            item._id = item.id.with_params(item.operation_label)
    shared = [test for test, times in Counter(item.nodeid for item in items).items() if times > 1]
    if shared:
        raise pytest.UsageError(f"tests with the same id: {', '.join(shared)}")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop that ChatNest runs on; anyio would try trio as well."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _environment_without_choices() -> Iterator[None]:
    """Hide what the person who runs the tests has configured for their own use."""
    with pytest.MonkeyPatch.context() as patch:
        for name in set(os.environ):
            if name.startswith(CHOOSING_VARIABLES):
                patch.delenv(name)
        yield

"""The public names: all there, seen by type checkers, and cheap where only the core is wanted."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import chatnest
import chatnest.app.config
import chatnest.domain

SOURCE = Path(chatnest.__file__).parent


@pytest.mark.parametrize("name", chatnest.__all__)
def test_a_public_name_is_there(name: str) -> None:
    assert getattr(chatnest, name) is not None


def test_no_public_name_is_listed_twice() -> None:
    assert sorted(chatnest.__all__) == sorted(set(chatnest.__all__))


def test_a_name_that_is_not_public_is_missing_as_in_any_module() -> None:
    assert hasattr(chatnest.app.config, "Section")
    with pytest.raises(AttributeError, match="module 'chatnest' has no attribute 'Section'"):
        chatnest.Section  # type: ignore[attr-defined]  # noqa: B018 - asking is the test


def test_type_checkers_see_the_names_that_are_imported_late() -> None:
    late = set(chatnest.__all__) - set(chatnest.domain.__all__)
    assert _names_imported_for_type_checkers() == late


def test_the_domain_lists_every_name_that_it_imports() -> None:
    tree = ast.parse((SOURCE / "domain" / "__init__.py").read_text())
    assert _imported_names(tree) == set(chatnest.domain.__all__)


def test_importing_the_package_loads_the_domain_alone() -> None:
    loaded = _in_a_new_process("print(*(name for name in sys.modules))")
    assert {name.split(".")[1] for name in loaded if name.startswith("chatnest.")} == {"domain"}


def test_names_can_be_discovered_before_they_are_loaded() -> None:
    assert set(chatnest.__all__) <= set(_in_a_new_process("print(*dir(chatnest))"))


def _in_a_new_process(program: str) -> list[str]:
    # -I and -S: no PYTHONPATH, no site-packages, so that nothing else could be loaded either.
    program = f"import sys; sys.path.append(sys.argv[1]); import chatnest; {program}"
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(SOURCE.parent)],
        check=True,
        timeout=30,
        capture_output=True,
        text=True,
    )
    return run.stdout.split()


def _names_imported_for_type_checkers() -> set[str]:
    tree = ast.parse((SOURCE / "__init__.py").read_text())
    blocks = (node for node in tree.body if isinstance(node, ast.If))
    return set().union(
        *(
            _imported_names(block)
            for block in blocks
            if isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        )
    )


def _imported_names(tree: ast.AST) -> set[str]:
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return {alias.name for node in imports for alias in node.names}

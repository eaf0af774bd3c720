"""The domain needs nothing but the standard library."""

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import chatnest.domain as domain

SOURCE = Path(domain.__file__).parents[2]
MODULES = [f"{domain.__name__}.{module.name}" for module in pkgutil.iter_modules(domain.__path__)]

IMPORT_ALL = """
import importlib, json, sys
before = set(sys.modules)
sys.path.append(sys.argv[1])
for name in sys.argv[2:]:
    importlib.import_module(name)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_every_module_of_the_domain_imports_with_the_standard_library_alone() -> None:
    # -I and -S: no PYTHONPATH, no site-packages.
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", IMPORT_ALL, str(SOURCE), domain.__name__, *MODULES],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    loaded = set(json.loads(run.stdout))
    assert loaded >= {domain.__name__, *MODULES}
    # An installed package lies beside others, which the path alone would not keep out.
    assert {name.partition(".")[0] for name in loaded} <= {"chatnest", *sys.stdlib_module_names}


def test_the_domain_has_the_modules_that_were_imported() -> None:
    assert {"chatnest.domain.budget", "chatnest.domain.chat"} <= set(MODULES)

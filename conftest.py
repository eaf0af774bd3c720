"""Runs the examples in the README and in the documentation as tests."""

from pathlib import Path
from tempfile import TemporaryDirectory

from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser


def load_configuration(example: Example) -> None:
    """A block of TOML is a configuration that ChatNest takes."""
    from chatnest.app.settings_sources import load

    with TemporaryDirectory() as folder:
        file = Path(folder, "chatnest.toml")
        file.write_text(example.parsed, encoding="utf-8")
        load(file, environ={})


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), CodeBlockParser("toml", load_configuration), SkipParser()],
    pattern="*.md",
    # These talk to a server, which their own conftest starts.
    exclude="docs/clients/*.md",
).pytest()

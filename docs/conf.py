"""How Sphinx builds this documentation; `make docs` runs it."""

import re
import sys
from importlib.metadata import version as version_of
from pathlib import Path

from sphinx.application import Sphinx

sys.path.append(str(Path(__file__).parent))

project = "ChatNest"
author = "ChatNest contributors"
copyright = f"2026, {author}"
release = version_of("chatnest")
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc", "retry_directive", "settings_directive"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "undoc-members": True}

html_theme = "shibuya"
html_title = "ChatNest"
html_theme_options = {"accent_color": "green"}
html_copy_source = False


# Not napoleon's work: it takes the first colon in a property's docstring for the end of a type.
def raises_as_fields(
    app: Sphinx, what: str, name: str, of: object, options: object, lines: list[str]
) -> None:
    """Turn the lines under ``Raises:`` into the fields that Sphinx knows."""
    if "Raises:" not in lines:
        return
    start = lines.index("Raises:")
    lines[start] = ""
    for number in range(start + 1, len(lines)):
        lines[number] = re.sub(r"^ {4}(\w+): ", r":raises \1: ", lines[number])


def setup(app: Sphinx) -> None:
    """Connect what is above to the build."""
    app.connect("autodoc-process-docstring", raises_as_fields)

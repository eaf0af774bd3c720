"""The directive ``settings``: describes a part of the configuration from the types that check it.

It takes the name of a section that ``chatnest`` exports. Nothing is written twice, so the
documentation cannot say what the configuration does not.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

import chatnest
from chatnest.app.settings_tree import without_none

PLAIN_KINDS = {"bool": "true or false", "Decimal": "a number", "str": "a text"}


class SettingsDirective(SphinxDirective):
    """A definition list of every setting of one section."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The section's docstring and its settings, from the source of the configuration."""
        section: type[msgspec.Struct] = getattr(chatnest, self.arguments[0])
        docs = ModuleAnalyzer.for_module(section.__module__).find_attr_docs()
        lines = [*(section.__doc__ or "").splitlines(), ""]
        for field in msgspec.structs.fields(section):
            text = docs[section.__name__, field.name]
            lines += [f"``{field.name}`` : {_value(field)}", *(f"    {line}" for line in text), ""]
        return self.parse_text_to_nodes("\n".join(_dedented(lines)))


def _dedented(lines: list[str]) -> Iterator[str]:
    """*lines* without the indentation that a class's docstring has after its first line."""
    in_docstring = True
    for line in lines:
        in_docstring = in_docstring and not line.startswith("``")
        yield line.strip() if in_docstring else line


def _value(field: msgspec.structs.FieldInfo) -> str:
    kind = _meaning(field.type)
    if field.required:
        return f"{kind}, required"
    default = field.default
    if default is None or default is msgspec.NODEFAULT or default == ():
        return kind
    shown = default if isinstance(default, str) else msgspec.json.encode(default).decode()
    return f"{kind}, else ``{shown}``"


def _meaning(kind: Any) -> str:
    kind, _ = without_none(kind)
    origin = get_origin(kind)
    if origin is Annotated:
        return str(next(meta.description for meta in kind.__metadata__ if meta.description))
    if origin is Literal:
        return "one of " + ", ".join(f"``{value}``" for value in get_args(kind))
    if origin is tuple:
        return f"a list, of each: {_meaning(get_args(kind)[0])}"
    if origin is dict:
        return f"a table, for each name: {_meaning(get_args(kind)[1])}"
    return PLAIN_KINDS.get(kind.__name__) or f"*{kind.__name__}*"


def setup(app: Sphinx) -> ExtensionMetadata:
    """Add the directive to the builder."""
    app.add_directive("settings", SettingsDirective)
    return {"parallel_read_safe": True}

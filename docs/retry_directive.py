"""The directives ``retry-table`` and ``failure-table``: what the code does about each failure.

Both read the tables that the code itself goes by, so the documentation cannot say anything else.
"""

from collections.abc import Iterator, Sequence

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from chatnest.domain.circuit import ALIVE
from chatnest.domain.errors import FailureKind
from chatnest.domain.retry import (
    PUBLIC_ERRORS,
    RETRY_TABLE,
    SPECIFIC_WORDS,
    STATUS_KINDS,
    Verdict,
)
from chatnest.testing.failures import FAILURES, UpstreamFailure

VERDICTS = {
    Verdict.RETRY: "another target at once; this one after a back-off",
    Verdict.FAIL_OVER: "another target; this one is out",
    Verdict.GIVE_UP: "the client is told",
}

# Where there is neither a status of its own nor a word.
SIGNS = {
    FailureKind.CONNECTION: "no connection, or one that ends without an answer",
    FailureKind.INTERRUPTED: "an answer that breaks off",
    FailureKind.TIMEOUT: "a time limit of ours",
    FailureKind.SERVER_ERROR: "any other 5xx",
    FailureKind.MALFORMED: "an answer that cannot be read",
    FailureKind.UNKNOWN: "anything else",
}


class RetryTable(SphinxDirective):
    """What each kind of failure is taken from, and what is done about it before the first delta."""

    def run(self) -> list[nodes.Node]:
        """The table, from the tables of the domain."""
        header = ("Kind", "Taken from", "Before the first delta", "Circuit", "Public code")
        return [_table(header, [_kind_row(kind) for kind in RETRY_TABLE])]


class FailureTable(SphinxDirective):
    """What becomes of each failure that the tests play, with one target and with two."""

    def run(self) -> list[nodes.Node]:
        """The table, from the failures that the tests play."""
        header = ("The provider …", "Kind", "Calls of one target", "With another one", "Charged")
        return [_table(header, [_failure_row(failure) for failure in FAILURES])]


def _kind_row(kind: FailureKind) -> Sequence[str]:
    statuses = [str(status) for status, known in STATUS_KINDS.items() if known is kind]
    words = [word for word, known in SPECIFIC_WORDS.items() if known is kind]
    signs = [SIGNS[kind]] if kind in SIGNS else []
    return (
        str(kind),
        ", ".join(statuses + words + signs),
        VERDICTS[RETRY_TABLE[kind]],
        "works" if kind in ALIVE else "failed",
        PUBLIC_ERRORS[kind].code,
    )


def _failure_row(failure: UpstreamFailure) -> Sequence[str]:
    alone, beside = failure.calls_alone, failure.calls_beside_another
    return (
        failure.does,
        str(failure.kind or "none: the answer is ended with length"),
        "as many as are allowed" if alone is None else str(alone),
        f"{beside[0]} and {beside[1]}",
        failure.charged,
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> nodes.table:
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=1) for _ in header]
    group += nodes.thead("", _row(header))
    group += nodes.tbody("", *(_row(row) for row in rows))
    return nodes.table("", group)


def _row(cells: Sequence[str]) -> nodes.row:
    return nodes.row("", *_entries(cells))


def _entries(cells: Sequence[str]) -> Iterator[nodes.entry]:
    for cell in cells:
        yield nodes.entry("", nodes.paragraph("", cell))


def setup(app: Sphinx) -> ExtensionMetadata:
    """Add the directives to the builder."""
    app.add_directive("retry-table", RetryTable)
    app.add_directive("failure-table", FailureTable)
    return {"parallel_read_safe": True}

"""Tables of plain text, for people at a terminal."""

from collections.abc import Iterator, Sequence

_GAP = "  "


def table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str | int]],
    *,
    texts: int,
    has_total: bool = False,
) -> Iterator[str]:
    """Lines of a table: its first *texts* columns begin on the left, numbers end on the right.

    Whole numbers have a comma between thousands. *has_total* sets the last row apart.
    """
    cells = [titles, *([_shown(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rule = _GAP.join("-" * width for width in widths)
    for index, row in enumerate(cells):
        if index == 1 or (has_total and index == len(cells) - 1):
            yield rule
        yield _line(row, widths, texts)


def printable(text: str) -> str:
    """*text* on one line: names are anybody's, and must not move a terminal's cursor."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def _shown(cell: str | int) -> str:
    return f"{cell:,}" if isinstance(cell, int) else printable(cell)


def _line(row: Sequence[str], widths: Sequence[int], texts: int) -> str:
    left = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
    right = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
    return _GAP.join((*left[:texts], *right[texts:])).rstrip()

"""The page about the wires says of every refusal what clients are really shown."""

from pathlib import Path

from tests.end_to_end.clients.refusals import REFUSALS

PAGE = Path(__file__).parent.parent.parent / "docs" / "wire.md"


def test_its_table_has_each_refusal_in_the_words_of_each_wire() -> None:
    page = PAGE.read_text()
    for name, refused in REFUSALS.items():
        status = refused.v1_status or refused.status
        cells = (
            name,
            f"{refused.status} `{refused.code}`",
            f"{status} `{refused.openai.type}`, `{refused.openai.code}`",
            f"{status} `{refused.anthropic.type}`, `{refused.anthropic.code}`",
        )
        assert f"| {' | '.join(cells)} |" in page

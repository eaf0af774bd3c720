"""Tools, and how a model is to use them."""

import pytest

from chatnest.domain.tools import Tool, ToolChoice, ToolMode


def test_everything_that_a_model_reads_of_a_tool_is_counted() -> None:
    assert (
        Tool("find", "Finds it.", '{"type":"object"}').text == 'find\nFinds it.\n{"type":"object"}'
    )


def test_a_tool_that_is_named_must_be_required() -> None:
    assert ToolChoice(ToolMode.REQUIRED, "find").name == "find"
    with pytest.raises(ValueError, match="must be required"):
        ToolChoice(ToolMode.AUTO, "find")

"""Anthropic's tools, and the choice among them, as the domain's."""

from collections.abc import Sequence

from chatnest.adapters.transport.anthropic_body import (
    AnyChoice,
    NamedChoice,
    NoChoice,
    PromptBody,
    ToolBody,
)
from chatnest.adapters.transport.anthropic_turns import json_text
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.tools import Tool, ToolChoice, ToolMode


def tools_of(asked: PromptBody) -> tuple[Tool, ...]:
    """The tools that *asked* offers to the model.

    Raises:
        InvalidRequestError: two have one name, or one is to be found before it is offered.
    """
    bodies = asked.tools or ()
    known: set[str] = set()
    for index, body in enumerate(bodies):
        if body.name in known:
            raise InvalidRequestError("is the name of another tool", field=f"tools[{index}].name")
        if body.defer_loading:
            reason = "must be false: this server searches for no tools"
            raise InvalidRequestError(reason, field=f"tools[{index}].defer_loading")
        known.add(body.name)
    return tuple(map(_tool, bodies))


def tool_choice_of(asked: PromptBody, tools: Sequence[Tool]) -> ToolChoice | None:
    """How *asked* wants *tools* to be used; without tools there is nothing to choose.

    Raises:
        InvalidRequestError: a tool must be used that there is not.
    """
    choice = asked.tool_choice
    if isinstance(choice, AnyChoice) and not tools:
        raise InvalidRequestError("needs tools to choose from", field="tool_choice")
    if isinstance(choice, NamedChoice) and choice.name not in [tool.name for tool in tools]:
        raise InvalidRequestError("must be the name of a tool", field="tool_choice.name")
    if choice is None or not tools:
        return None
    if isinstance(choice, NoChoice):
        return ToolChoice(ToolMode.NONE)
    single = choice.disable_parallel_tool_use
    parallel = None if single is None else not single
    if isinstance(choice, NamedChoice):
        return ToolChoice(ToolMode.REQUIRED, choice.name, parallel)
    mode = ToolMode.REQUIRED if isinstance(choice, AnyChoice) else ToolMode.AUTO
    return ToolChoice(mode, None, parallel)


def _tool(body: ToolBody) -> Tool:
    return Tool(body.name, body.description or "", json_text(body.input_schema), body.strict)

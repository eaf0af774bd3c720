"""The caller's tools, as a model is told of them."""

from enum import StrEnum

from chatnest.domain.values import value


@value
class Tool:
    """A function that a model may wish to be called.

    ``parameters`` is the JSON Schema of its arguments, as JSON text: it is counted and passed on as
    it came. ``strict`` asks for arguments that match it exactly; None leaves it to the provider.
    """

    name: str
    description: str = ""
    parameters: str = '{"type":"object","properties":{}}'
    strict: bool | None = None

    @property
    def text(self) -> str:
        """Everything that a model reads of the tool, as one text to count."""
        return f"{self.name}\n{self.description}\n{self.parameters}"


class ToolMode(StrEnum):
    """Whether a model is to use tools."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


@value
class ToolChoice:
    """How a model is to use its tools.

    ``name`` is the one that it must use, and goes with ``required``. ``parallel`` allows several
    calls in one answer; None leaves it to the provider.

    Raises:
        ValueError: a tool is named without being required.
    """

    mode: ToolMode = ToolMode.AUTO
    name: str | None = None
    parallel: bool | None = None

    def __post_init__(self) -> None:
        if self.name is not None and self.mode is not ToolMode.REQUIRED:
            raise ValueError("a tool that is named must be required")

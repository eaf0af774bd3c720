"""What tools and pictures are billed as is never more than the overhead of their model says."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.tokenizers import BpeTokenCounter
from chatnest.adapters.tokenizers.models import tokenization_of
from chatnest.domain.tools import Tool


def tiles(width: int, height: int) -> int:
    """The 512 px tiles of a picture, by OpenAI's guide: into 2,048 px, then the short side 768."""
    into = min(1.0, 2_048 / max(width, height))
    down = min(1.0, 768 / (min(width, height) * into))
    return math.prod(math.ceil(round(side * into * down) / 512) for side in (width, height))


def patches(width: int, height: int, most: int) -> int:
    """The 32 px patches of a picture, by OpenAI's guide: scaled down until they are at most so."""
    whole = math.ceil(width / 32) * math.ceil(height / 32)
    if whole <= most:
        return whole
    shrink = math.sqrt(32**2 * most / (width * height))
    across, down = (side * shrink / 32 for side in (width, height))
    shrink *= min(math.floor(across) / across, math.floor(down) / down)
    return math.prod(math.ceil(round(side * shrink) / 32) for side in (width, height))


sides = st.integers(64, 8_000)


@given(sides, sides)
def test_no_picture_is_billed_more_than_its_family_allows(width: int, height: int) -> None:
    in_tiles = tiles(width, height)
    in_1536, in_2500 = (patches(width, height, most) for most in (1_536, 2_500))
    squares = math.ceil(width / 28) * math.ceil(height / 28)
    for model, billed in {
        "gpt-4o": 85 + 170 * in_tiles,
        "gpt-5.1": 70 + 140 * in_tiles,
        "o3": 75 + 150 * in_tiles,
        "gpt-4o-mini": 2_833 + 5_667 * in_tiles,
        "gpt-5-mini": in_1536 * 1.62,
        "o4-mini": in_1536 * 1.72,
        "gpt-4.1-nano": in_1536 * 2.46,
        "gpt-6.1-sol": in_2500 * 1.2,
        "claude-opus-4-6": min(squares, 1_568),
        "claude-opus-5": min(squares, 4_784),
    }.items():
        assert math.ceil(billed) <= tokenization_of(model).overhead.per_image


@pytest.mark.parametrize(
    ("width", "height", "count"), [(1_024, 1_024, 4), (2_048, 4_096, 6), (2_048, 768, 8)]
)
def test_tiles_are_as_in_the_guides_examples(width: int, height: int, count: int) -> None:
    assert tiles(width, height) == count


@pytest.mark.parametrize(
    ("width", "height", "count"), [(1_024, 1_024, 1_024), (1_800, 2_400, 1_452)]
)
def test_patches_are_as_in_the_guides_examples(width: int, height: int, count: int) -> None:
    assert patches(width, height, 1_536) == count


def test_the_largest_pictures_are_as_large_as_allowed() -> None:
    assert 85 + 170 * tiles(2_048, 768) == tokenization_of("gpt-4o").overhead.per_image
    assert 2_833 + 5_667 * tiles(2_048, 768) == tokenization_of("gpt-4o-mini").overhead.per_image
    nano = math.ceil(2.46 * patches(1_536, 1_024, 1_536))
    assert nano == tokenization_of("gpt-4.1-nano").overhead.per_image


async def recipe(counter: BpeTokenCounter, model: str, tool: Tool) -> int:
    """The tokens of one tool among others, by the OpenAI cookbook's recipe for functions."""

    async def count(text: str) -> int:
        return await counter.count(model, text)

    tokens = (10 if model == "gpt-4" else 7) + await count(f"{tool.name}:{tool.description}")
    properties = json.loads(tool.parameters)["properties"]
    tokens += 3 if properties else 0
    for name, schema in properties.items():
        tokens += 3 + await count(f"{name}:{schema['type']}:{schema.get('description', '')}")
        values = schema.get("enum", ())
        tokens += (3 * len(values) - 3 if values else 0) + sum([await count(one) for one in values])
    return tokens


WEATHER = Tool(
    "get_current_weather",
    "Get the current weather in a given location",
    '{"type":"object","properties":{"location":{"type":"string","description":"The city and state, '
    'e.g. San Francisco, CA"},"unit":{"type":"string","enum":["celsius","fahrenheit"]}}}',
)
COUNTRIES = ("austria", "belgium", "canada", "denmark", "egypt", "france", "germany", "hungary")
CHOICE = Tool(
    "choose",
    parameters=json.dumps(
        {"type": "object", "properties": {"country": {"type": "string", "enum": COUNTRIES * 2}}}
    ),
)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4", "gpt-6.1-sol", "gpt-oss-20b"])
async def test_tools_fit_their_text_and_the_overhead(model: str) -> None:
    counter = BpeTokenCounter()
    overhead = counter.overhead(model)
    assert overhead.with_tools >= 12
    for tool in (WEATHER, CHOICE, Tool("ping")):
        counted = await counter.count(model, tool.text) + overhead.per_tool
        assert await recipe(counter, model, tool) <= counted


@pytest.mark.parametrize(("model", "indent"), [("llama-3.1-8b", 4), ("qwen2.5-7b", None)])
async def test_tools_fit_where_a_template_writes_them_out(model: str, indent: int | None) -> None:
    counter = BpeTokenCounter()
    for tool in (WEATHER, CHOICE, Tool("ping")):
        function = {
            "name": tool.name,
            "description": tool.description,
            "parameters": json.loads(tool.parameters),
        }
        written = json.dumps({"type": "function", "function": function}, indent=indent)
        counted = await counter.count(model, tool.text) + counter.overhead(model).per_tool
        assert await counter.count(model, written) <= counted


async def test_anthropics_example_with_a_tool_fits() -> None:
    """Its page on counting: 403 tokens, with the system prompt that tools bring to that model."""
    counter, model = BpeTokenCounter(), "claude-opus-4-20250514"
    tool = Tool(
        "get_weather",
        "Get the current weather in a given location",
        '{"type":"object","properties":{"location":{"type":"string","description":"The city and '
        'state, e.g. San Francisco, CA"}},"required":["location"]}',
    )
    overhead = counter.overhead(model)
    question = "What's the weather like in San Francisco?"
    counted = await counter.count(model, tool.text) + await counter.count(model, question)
    around = overhead.per_message + overhead.per_request + overhead.per_tool
    assert counted + around >= 403 - 313
    assert counted + around + overhead.with_tools >= 403

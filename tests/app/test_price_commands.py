"""What a model costs, and where that is from, said by the command line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chatnest.adapters.prices import PUBLISHED
from chatnest.app.cli import commands
from chatnest.domain.usage import Price

RunPrices = Callable[..., Result]

OPUS = "fallback_price = 'anthropic/claude-opus-4-1'\n"


def own(name: str, *, input_: str = "1", output: str = "4", more: str = "") -> str:
    return (
        f'[prices."{name}"]\n'
        f"input_usd_per_million = {input_}\noutput_usd_per_million = {output}\n{more}"
    )


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunPrices:
    monkeypatch.chdir(tmp_path)

    def run(model: str, file: str = "") -> Result:
        Path("chatnest.toml").write_text(file, "utf-8")
        return CliRunner().invoke(commands, ["prices", model])

    return run


def models(result: Result) -> list[str]:
    """The first column of the table."""
    assert (result.exit_code, result.stderr) == (0, "")
    return [line.split()[0] for line in result.stdout.partition("\n\n")[0].splitlines()[2:]]


def test_a_price_is_a_table_with_the_worst_case_of_the_default_profile(run: RunPrices) -> None:
    file = own("acme/owl", more="cached_input_usd_per_million = 0.0625\n")
    result = run("acme/owl", file)
    assert (result.exit_code, result.stderr) == (0, "")
    # 1,648 tokens of input and 400 of output: 1,648 + 1,600 micro-dollars.
    assert result.stdout.splitlines() == [
        "model     price from                     input  cached  cache write  output  worst case",
        "--------  -----------------------------  -----  ------  -----------  ------  ----------",
        'acme/owl  overrides (prices."acme/owl")   1.00  0.0625         1.00    4.00    0.003248',
        "",
        "In USD: for a million tokens, and the most for one call under the profile balanced",
        "(2,048 tokens, at most 400 of them output).",
    ]


def test_the_worst_case_is_of_the_configured_profile_under_the_hard_caps(run: RunPrices) -> None:
    file = (
        'default_profile = "expanded"\n'
        "[profiles.expanded]\nmax_output_tokens = 9_000\ntokens_per_request = 99_000\n"
    )
    result = run("acme/owl", file + own("acme/owl"))
    # 11,904 tokens of input and 4,096 of output, which the hard caps leave of 16,000.
    assert result.stdout.splitlines()[2].split()[-1] == "0.028288"
    assert result.stdout.endswith(
        "profile expanded\n(16,000 tokens, at most 4,096 of them output).\n"
    )


def test_where_input_is_dearer_the_worst_case_is_all_input(run: RunPrices) -> None:
    written = own("acme/owl", more="cache_write_usd_per_million = 5\n")
    row = run("acme/owl", written).stdout.splitlines()[2].split()
    assert row[-1] == "0.01024"


def test_where_a_published_price_is_from_is_told_with_the_name_that_it_is_for(
    run: RunPrices,
) -> None:
    result = run("openai/gpt-4o-2024-08-06")
    assert models(result) == ["openai/gpt-4o-2024-08-06"]
    source = PUBLISHED.published.version
    assert f"{source}: openai/gpt-4o, for gpt-4o-2024-08-06 " in result.stdout
    assert result.stdout.splitlines()[2].split()[-5:-1] == ["2.50", "1.25", "2.50", "10.00"]


def test_without_a_provider_every_one_that_has_a_price_is_told(run: RunPrices) -> None:
    assert models(run("gpt-4o", own("acme/gpt-4o"))) == [
        "acme/gpt-4o",
        "azure/gpt-4o",
        "openai/gpt-4o",
    ]


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("openrouter/openai/gpt-4o", ["openrouter/openai/gpt-4o"]),
        ("openai/gpt-4o", ["openai/gpt-4o"]),
        ("meta-llama/llama-3.3-70b-instruct", None),
    ],
)
def test_a_name_with_slashes_may_begin_with_a_provider(
    run: RunPrices, model: str, told: list[str] | None
) -> None:
    result = models(run(model))
    if told is None:
        assert f"openrouter/{model}" in result
    else:
        assert result == told


def test_what_bills_nobody_is_free_where_it_is_named(run: RunPrices) -> None:
    result = run("local/any")
    assert models(result) == ["local/any"]
    assert "free: local" in result.stdout


@pytest.mark.parametrize(
    ("model", "why", "name"),
    [
        ("openai/gpt-9", f"{PUBLISHED.published.version} does not list openai/gpt-9.", "openai/"),
        (
            "perplexity/sonar",
            f"{PUBLISHED.published.version}: perplexity/sonar: billed by requests too.",
            "perplexity/",
        ),
        ("gpt-9", "no provider has one for it.", "PROVIDER/"),
        ("acme/gpt-9", "no provider has one for it.", "PROVIDER/acme/"),
    ],
)
@pytest.mark.parametrize(
    ("file", "follows", "advice"),
    [
        (
            "",
            "Where a budget is in dollars, it is refused (unknown_price).",
            ", or fallback_price to a model that costs no less.",
        ),
        (
            "unknown_price = 'ignore'",
            "Budgets in dollars do not hold it (unknown_price).",
            ", or fallback_price to a model that costs no less.",
        ),
        (
            OPUS,
            "It is charged as anthropic/claude-opus-4-1 (fallback_price).",
            " to charge its own.",
        ),
    ],
)
def test_an_unknown_price_is_exit_code_1_with_what_follows_and_what_to_do(
    run: RunPrices, model: str, why: str, name: str, file: str, follows: str, advice: str
) -> None:
    result = run(model, file)
    named = name + model.rpartition("/")[2]
    assert result.exit_code == 1
    assert result.stderr == (
        f"chatnest: the price of {model} is not known: {why} {follows} "
        f'Set prices."{named}"{advice}\n'
    )


def test_what_a_fallback_charges_is_told_beside(run: RunPrices) -> None:
    row = run("openai/gpt-9", OPUS).stdout.splitlines()[2]
    assert row.startswith("openai/gpt-9  fallback anthropic/claude-opus-4-1 (fallback_price)  ")
    assert PUBLISHED.price("anthropic", "claude-opus-4-1") == Price(
        15_000_000_000, 75_000_000_000, 1_500_000_000, 18_750_000_000
    )
    assert row.split()[-5:-1] == ["15.00", "1.50", "18.75", "75.00"]
    assert run("gpt-9", OPUS).stdout == ""
    assert run("openai/gpt-9").stdout == ""


@pytest.mark.parametrize(
    ("fallback", "told"),
    [
        ("gpt-4o", "must be named PROVIDER/MODEL"),
        ("openai/gpt-9", "does not list openai/gpt-9. Name a model that has a price"),
        ("scripted/owl", "scripted/owl is free, and unknown is not zero."),
    ],
)
@pytest.mark.parametrize("command", [["prices", "gpt-4o"], ["check"]])
def test_a_fallback_that_has_no_price_is_an_error_of_the_configuration(
    run: RunPrices, command: list[str], fallback: str, told: str
) -> None:
    Path("chatnest.toml").write_text(f"fallback_price = '{fallback}'\n", "utf-8")
    result = CliRunner().invoke(commands, command)
    assert result.exit_code == (2 if command[0] == "prices" else 1)
    assert result.stderr.startswith("chatnest: fallback_price")
    assert told in result.stderr


def test_a_fallback_may_be_one_of_the_configured_prices(run: RunPrices) -> None:
    result = run("openai/gpt-9", "fallback_price = 'acme/owl'\n" + own("acme/owl", output="9"))
    assert "fallback acme/owl (fallback_price)" in result.stdout
    assert result.stdout.splitlines()[2].split()[-2] == "9.00"


@pytest.mark.parametrize("prices", ["", OPUS])
def test_the_check_says_where_the_price_is_from(run: RunPrices, prices: str) -> None:
    Path("chatnest.toml").write_text(prices + "unknown_price = 'ignore'\n", "utf-8")
    result = CliRunner(env={"OPENAI_API_KEY": "k"}).invoke(
        commands, ["check", "--provider=openai", "--model=gpt-9"]
    )
    assert result.exit_code == 0, result.output
    if prices:
        assert "(fallback anthropic/claude-opus-4-1 (fallback_price))" in result.stdout
        assert "warning: unknown_price: with fallback_price no price is unknown." in result.stdout
    else:
        assert "openai/gpt-9: unknown; set it under [prices]" in result.stdout

"""What calls used, summed up by the command line."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result

from chatnest.domain.steps import expire_step, release_step
from chatnest.domain.usage import TokenUsage
from chatnest.domain.windows import to_instant
from tests.support.command_line import BERLIN, DAY_US, FAR, NOW, Run, SharedStore, runner


@pytest.fixture
def store() -> SharedStore:
    return SharedStore()


@pytest.fixture
def run(store: SharedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return runner(store, tmp_path, monkeypatch)


class TestUsage:
    @pytest.fixture(autouse=True)
    def _calls(self, store: SharedStore) -> None:
        cached = TokenUsage(4_000, 6_000, cached_input_tokens=1_000, reasoning_tokens=500)
        store.settle("1", usage=cached)
        store.settle("2", principal="bob", model="owl")
        store.settle("3", at=NOW - 6 * DAY_US)
        store.settle("4", at=NOW - 7 * DAY_US)
        store.settle("5", at=NOW - 29 * DAY_US)
        store.settle("6", at=NOW - 30 * DAY_US)
        released, _ = store.hold("7"), store.hold("8")
        asyncio.run(store.transact(*release_step(released, "refused", NOW)))

    def test_by_day_is_a_table_of_the_last_thirty_days_with_a_total(self, run: Run) -> None:
        result = run("usage", FAR)
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.splitlines() == [
            "day         calls  input tokens  cached  output tokens  reasoning       usd  unpriced"
            "  estimated  lost",
            "----------  -----  ------------  ------  -------------  ---------  --------  --------"
            "  ---------  ----",
            "2026-10-26      1             4       0              6          0  0.000028         0"
            "          0     0",
            "2026-11-17      1             4       0              6          0  0.000028         0"
            "          0     0",
            "2026-11-18      1             4       0              6          0  0.000028         0"
            "          0     0",
            "2026-11-24      2         4,004   1,000          6,006        500  0.028028         0"
            "          0     0",
            "----------  -----  ------------  ------  -------------  ---------  --------  --------"
            "  ---------  ----",
            "total           5         4,016   1,000          6,024        500  0.028112         0"
            "          0     0",
        ]

    def told(self, result: Result) -> list[tuple[str, int]]:
        assert result.exit_code == 0, result.output
        return [(row["group"], row["calls"]) for row in json.loads(result.stdout)["groups"]]

    def test_it_can_be_by_principal_or_by_model(self, run: Run) -> None:
        assert self.told(run("usage", "--by=principal", "--json", FAR)) == [("ann", 4), ("bob", 1)]
        assert self.told(run("usage", "--by=model", "--json", FAR)) == [
            ("scripted/owl", 1),
            ("scripted/parrot", 4),
        ]

    @pytest.mark.parametrize(
        ("since", "days"),
        [
            ("1d", ["2026-11-24"]),
            ("7d", ["2026-11-18", "2026-11-24"]),
            ("8d", ["2026-11-17", "2026-11-18", "2026-11-24"]),
            ("2026-11-18", ["2026-11-18", "2026-11-24"]),
            ("2026-11-19", ["2026-11-24"]),
            ("2027-01-01", []),
            (
                "0001-01-01",
                ["2026-10-25", "2026-10-26", "2026-11-17", "2026-11-18", "2026-11-24"],
            ),
        ],
    )
    def test_it_begins_on_a_day_or_so_many_days_ago(
        self, run: Run, since: str, days: list[str]
    ) -> None:
        for file in ("", BERLIN, "time_zone = 'Asia/Tokyo'"):
            result = run("usage", "--json", f"--since={since}", FAR, file=file)
            assert [day for day, _ in self.told(result)] == days

    @pytest.mark.parametrize("since", ["7", "d", "0d", "-1d", "yesterday", "2026-13-01", ""])
    def test_what_is_no_day_is_refused(self, run: Run, store: SharedStore, since: str) -> None:
        result = run("usage", f"--since={since}", FAR)
        assert (result.exit_code, result.stdout, store.opened) == (2, "", 0)
        assert "is neither a day such as 2026-11-24 nor a number of days such as 7d" in (
            result.stderr
        )

    def test_days_begin_in_the_configured_zone(self, run: Run, store: SharedStore) -> None:
        store.settle("9", at=to_instant(datetime(2026, 11, 23, 23, 30, tzinfo=UTC)))
        assert self.told(run("usage", "--json", "--since=1d", FAR)) == [("2026-11-24", 2)]
        result = run("usage", "--json", "--since=1d", FAR, file=BERLIN)
        assert self.told(result) == [("2026-11-24", 3)]
        report = json.loads(result.stdout)
        assert (report["since"], report["timeZone"]) == ("2026-11-23T23:00:00Z", "Europe/Berlin")

    def test_json_is_exact(self, run: Run, store: SharedStore) -> None:
        lost = store.hold("9", at=NOW - DAY_US)
        asyncio.run(store.transact(*expire_step(lost, NOW)))
        report = json.loads(run("usage", "--json", "--since=2d", FAR).stdout)
        today = {
            "group": "2026-11-24",
            "calls": 2,
            "inputTokens": 4_004,
            "outputTokens": 6_006,
            "cachedInputTokens": 1_000,
            "reasoningTokens": 500,
            "costUsd": "0.028028",
            "estimated": 0,
            "unpriced": 0,
            "lost": 0,
        }
        assert report.keys() == {"by", "since", "timeZone", "groups", "total"}
        assert (report["by"], report["since"]) == ("day", "2026-11-23T00:00:00Z")
        assert report["groups"][1:] == [today]
        assert report["groups"][0]["lost"] == 1
        assert report["total"]["calls"] == 3
        assert report["total"]["group"] == "total"

    def test_where_nothing_was_used_the_total_says_so(self, run: Run) -> None:
        lines = run("usage", "--since=2027-01-01", FAR).stdout.splitlines()
        assert lines[-1].split() == ["total", "0", "0", "0", "0", "0", "0.00", "0", "0", "0"]
        assert len(lines) == 3

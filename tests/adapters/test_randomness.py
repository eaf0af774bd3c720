"""Identifiers do not collide and fit into a URL; a test's chance is the same in every run."""

import re
import subprocess
import sys
import threading

import pytest

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.randomness import SystemRandomness
from chatnest.domain.ports import Randomness
from chatnest.testing.clock import ManualClock
from chatnest.testing.randomness import FixedRandomness


def test_both_are_sources_of_chance() -> None:
    sources: list[Randomness] = [SystemRandomness(SystemClock()), FixedRandomness()]
    assert len(sources) == 2


def test_an_id_is_new_and_made_of_url_safe_characters() -> None:
    ids = {
        source.new_id()
        for source in (SystemRandomness(SystemClock()), SystemRandomness(SystemClock()))
        for _ in "x" * 99
    }
    assert len(ids) == 2 * 99
    assert all(re.fullmatch(r"chat_[0-9a-f]{32}", id_) for id_ in ids)


def test_ids_sort_in_the_order_of_their_making_to_the_millisecond() -> None:
    clock = ManualClock()
    source = SystemRandomness(clock)
    ids = []
    for _ in range(50):
        ids.append(source.new_id())
        clock.advance(1_000)

    assert ids == sorted(ids)


# In a process of its own, because one with threads is warned not to fork.
FORKING = """
import os
from chatnest.adapters.clock import SystemClock
from chatnest.adapters.randomness import SystemRandomness

source = SystemRandomness(SystemClock())
source.new_id()  # So that more are there to be given out.
child = os.fork()
if child:
    os.waitpid(child, 0)
print(*[source.new_id()[-20:] for _ in range(50)], flush=True)
"""


def test_a_forked_process_does_not_repeat_its_parent() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=30, check=True
    )
    of_child, of_parent = [set(line.split()) for line in done.stdout.splitlines()]
    assert len(of_child) == len(of_parent) == 50
    assert not of_child & of_parent


def test_threads_do_not_repeat_each_other() -> None:
    source = SystemRandomness(ManualClock())
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.extend([source.new_id() for _ in range(2_000)]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == len(made) == 8_000


def test_fractions_are_spread_over_zero_to_one() -> None:
    fractions = [SystemRandomness(SystemClock()).fraction() for _ in range(1_000)]
    assert all(0 <= fraction < 1 for fraction in fractions)
    # The chance that none of a thousand lies in one given half is 2 to the minus 1,000.
    assert min(fractions) < 0.5 < max(fractions)


def test_fixed_ids_count_up() -> None:
    randomness = FixedRandomness()
    assert [randomness.new_id() for _ in range(3)] == ["id-1", "id-2", "id-3"]


def test_fixed_fractions_come_in_turn_over_and_over() -> None:
    randomness = FixedRandomness([0.0, 0.25])
    assert [randomness.fraction() for _ in range(3)] == [0.0, 0.25, 0.0]
    assert FixedRandomness(0.75).fraction() == 0.75


@pytest.mark.parametrize("fractions", [1.0, -0.1, [], [0.5, 1.0], float("nan")])
def test_what_is_no_fraction_is_refused(fractions: float | list[float]) -> None:
    with pytest.raises(ValueError, match="fractions"):
        FixedRandomness(fractions)

"""How far a model's own count of tokens is from ours, learnt from what its provider reports.

Only estimates are corrected by it: what a call without a report is settled at, and never what
is reported. A hold is never made smaller by it.
"""

from typing import Final

from chatnest.domain.values import value

_ONE: Final = 1_000_000
# Of a few tokens the template is most, and one more or less is a large part.
LEAST_COUNTED: Final = 16
# A report further off is about something else: a hidden prompt, or a picture.
LEAST_PPM: Final = _ONE // 4
MOST_PPM: Final = _ONE * 4
# The mean of the first calls, then an average that forgets.
SLOWEST: Final = 16


@value
class Calibration:
    """``factor_ppm`` is reported tokens for a million counted ones, after ``calls`` calls."""

    factor_ppm: int = _ONE
    calls: int = 0


UNCALIBRATED: Final = Calibration()


def learn(calibration: Calibration, counted: int, reported: int) -> Calibration:
    """Move towards what one call showed; one that is too short to tell changes nothing."""
    if counted < LEAST_COUNTED or reported < 1:
        return calibration
    seen_ppm = min(max(reported * _ONE // counted, LEAST_PPM), MOST_PPM)
    calls = min(calibration.calls + 1, SLOWEST)
    step_ppm = (seen_ppm - calibration.factor_ppm) // calls
    return Calibration(calibration.factor_ppm + step_ppm, calls)


def corrected(calibration: Calibration, counted: int) -> int:
    """What a provider would probably report of *counted* tokens, rounded up."""
    return -(-counted * calibration.factor_ppm // _ONE)


def raised(calibration: Calibration, counted: int) -> int:
    """The same for an upper bound: never below *counted*."""
    return max(counted, corrected(calibration, counted))

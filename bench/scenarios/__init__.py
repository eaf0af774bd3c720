"""What is measured, a scenario in each file."""

from bench.scenarios.catalogue import SCENARIOS

__all__ = ["SCENARIOS"]

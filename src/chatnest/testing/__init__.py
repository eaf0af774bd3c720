"""For people who write adapters: contract suites, strategies, and a clock that stands still."""

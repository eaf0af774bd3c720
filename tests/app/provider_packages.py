"""Packages of other people's that bring providers, put where Python finds them."""

import sys
from collections.abc import Mapping
from importlib import invalidate_caches
from pathlib import Path

ECHO = """
from contextlib import asynccontextmanager

from chatnest import Capabilities, Finished, FinishReason, TextDelta

made = []


class EchoProvider:
    capabilities = Capabilities(images=True)

    def __init__(self, settings, ports):
        self.settings, self.ports, self.closed = settings, ports, 0
        self.name = settings.name
        made.append(self)

    @asynccontextmanager
    async def stream(self, call):
        async def batches():
            yield [TextDelta(call.messages[-1].content), Finished(FinishReason.STOP)]

        yield batches()

    async def aclose(self):
        self.closed += 1


def create(settings, ports):
    return EchoProvider(settings, ports)
"""


class Packages:
    """Distributions in *folder*, which is on the path; ``clear`` forgets what was imported."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._modules: list[str] = []

    def add(
        self,
        distribution: str,
        points: Mapping[str, str],
        *,
        version: str = "1.2",
        summary: str = "",
        **modules: str,
    ) -> None:
        """Install *distribution* with its entry *points*, and the source of its *modules*."""
        info = self._folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        (info / "METADATA").write_text(metadata + (f"Summary: {summary}\n" if summary else ""))
        lines = (f"{kind} = {factory}\n" for kind, factory in points.items())
        (info / "entry_points.txt").write_text(f"[chatnest.providers]\n{''.join(lines)}")
        (info / "top_level.txt").write_text("".join(f"{module}\n" for module in modules))
        for module, source in modules.items():
            (self._folder / f"{module}.py").write_text(source)
            self._modules.append(module)
        invalidate_caches()

    def imported(self) -> list[str]:
        """The modules of all distributions that were imported."""
        return [module for module in self._modules if module in sys.modules]

    def clear(self) -> None:
        for module in self._modules:
            sys.modules.pop(module, None)

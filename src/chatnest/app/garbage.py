"""How seldom Python may look for garbage in a process that serves streams."""

import gc
from typing import Final

# Made and not yet freed; Python's own 700 are those of a handful of requests.
_LOOKED_AT_FROM: Final = 20_000


def collect_less() -> None:
    """Make garbage collections few and short, for the whole process. May be called twice.

    To be called once everything is imported and built: modules, routes and schemas are more than a
    hundred thousand objects that live as long as the process, and to look through all of them
    stops the event loop, and every stream with it, for tens of milliseconds. They are left out
    from here on. A request leaves no cycles behind, so that what a collection looks at is what is
    under way: it is done where there is much of it, and not for every few requests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_LOOKED_AT_FROM, *gc.get_threshold()[1:])

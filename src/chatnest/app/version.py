"""Which version of ChatNest this is."""

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """The version of the installed package."""
    try:
        return version("chatnest")
    except PackageNotFoundError:
        return "unknown"  # the source tree is on the path without having been installed

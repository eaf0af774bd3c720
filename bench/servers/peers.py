"""Other people's servers: where they are installed, and how.

They lie in the user's cache folder, away from the project's own environment; their versions are in
the two files beside this one.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import platformdirs

FOLDER: Final = Path(platformdirs.user_cache_dir("chatnest"), "bench")
LITELLM_PROGRAM: Final = FOLDER / "litellm" / "bin" / "litellm"
PORTKEY_PROGRAM: Final = FOLDER.joinpath(
    "portkey", "node_modules", "@portkey-ai", "gateway", "build", "start-server.js"
)
_HERE: Final = Path(__file__).parent
_INSTALL_WITHIN_S: Final = 1_800


def install_peers() -> None:
    """Install each of them; where one cannot be had, say so and go on."""
    for name, install in (("litellm", _install_litellm), ("portkey", _install_portkey)):
        print(f"installing {name} into {FOLDER / name} ...", flush=True)
        try:
            install(FOLDER / name)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"{name} could not be installed: {error}")


def why_no_litellm() -> str | None:
    """Why LiteLLM's proxy cannot be run; None where it can."""
    return None if LITELLM_PROGRAM.exists() else "it is not installed (--install-peers does it)"


def why_no_portkey() -> str | None:
    """Why Portkey's gateway cannot be run; None where it can."""
    if shutil.which("node") is None:
        return "there is no node"
    return None if PORTKEY_PROGRAM.exists() else "it is not installed (--install-peers does it)"


def _install_litellm(folder: Path) -> None:
    _run(sys.executable, "-m", "venv", str(folder))
    requirements = str(_HERE / "requirements-litellm.txt")
    _run(str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "-r", requirements)


def _install_portkey(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(_HERE / "package-portkey.json", folder / "package.json")
    _run("npm", "install", "--prefix", str(folder), "--no-fund", "--no-audit", "--silent")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=_INSTALL_WITHIN_S)

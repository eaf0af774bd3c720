"""The example fleet: what can be known of it without running containers."""

from pathlib import Path
from typing import Any

import msgspec

from chatnest.app.settings_sources import load

FOLDER = Path(__file__).parents[2] / "examples" / "fleet"


def compose() -> dict[str, Any]:
    return msgspec.yaml.decode((FOLDER / "compose.yaml").read_bytes(), type=dict[str, Any])


def test_its_configuration_is_sound_and_believes_the_proxys_network() -> None:
    config = load(FOLDER / "chatnest.toml")
    networks = compose()["networks"]["fleet"]["ipam"]["config"]

    assert list(config.trusted_proxies) == [networks[0]["subnet"]]


def test_every_file_that_it_names_is_there() -> None:
    services = compose()["services"]
    mounted = [
        volume.partition(":")[0]
        for service in services.values()
        for volume in service.get("volumes", ())
        if volume.startswith("./")
    ]
    context = FOLDER / services["chatnest"]["build"]["context"]

    assert mounted
    assert all((FOLDER / name).is_file() for name in mounted)
    assert (context / services["chatnest"]["build"]["dockerfile"]).is_file()
    assert (context / "pyproject.toml").is_file()


def test_servers_are_given_time_to_settle_before_they_are_killed() -> None:
    config = load(FOLDER / "chatnest.toml")
    grace = compose()["services"]["chatnest"]["stop_grace_period"]

    assert int(grace.removesuffix("s")) >= config.time_limits.drain_s + 15

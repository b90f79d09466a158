"""A gateway that an edit replaces is nobody's loss: its end, told while the next one starts, starts no third,
and the network namespace that went with it is no outage."""

from __future__ import annotations

import os
from pathlib import Path

from tests.scenarios.world import World

_FILE = """\
name: shop
namespace: {namespace}
workloads:
  web: {{environment: {{IDENTITY: local}}, extra_hosts: ["one.example:{address}"]}}
"""


async def test_the_end_of_a_replaced_gateway_starts_no_other(world: World) -> None:
    starts = world.folder / "gateways"
    path = [str(Path(__file__).parent / "slow_gateway"), world.environ["PYTHONPATH"]]
    world.environ |= {"PYTHONPATH": os.pathsep.join(path), "DEVCLUSTER_TEST_GATEWAYS": str(starts)}
    await world.deploy()
    for number, address in enumerate(("192.0.2.7", "192.0.2.8"), start=1):
        world.write(_FILE.format(namespace=world.namespace, address=address))
        await world.devcluster("up", "-d")
        assert await world.who(5) == {"local": 5}
        assert len(starts.read_text().splitlines()) == number
    assert (await world.devcluster("up", "-d", "-o", "json")).json["workloads"][0]["outcome"] == "unchanged"
    assert (await world.status())["state"] == "attached"
    assert len(starts.read_text().splitlines()) == 2

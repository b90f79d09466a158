"""A handover never refuses, resets or forgets a request that comes through a Service.

50 requests a second, each on a fresh connection from a pod in the cluster, go on while the workload changes
hands.  The longest pause is printed; only failures are judged.
"""

from __future__ import annotations

from tests.scenarios.load import Load, steady_load
from tests.scenarios.world import World

# What a Deployment needs for a roll-out without a failed request, with or without us: kube-proxy goes on
# sending connections to a pod that ends for a second or two.
GRACEFUL = {"lifecycle": {"preStop": {"sleep": {"seconds": 3}}}}


def _unharmed(load: Load, what: str) -> None:
    print(f"{what}: {load}")
    assert load.errors == {}
    assert load.unanswered == 0


async def test_leave_and_up_again(world: World) -> None:
    await world.deploy()
    await world.devcluster("up", "-d")
    async with steady_load(world) as load:
        await world.devcluster("leave")
        await world.devcluster("up", "-d")
        file = f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web: {{environment: {{IDENTITY: second}}}}\n"
        world.write(file)
        again = await world.devcluster("up", "-d", "-o", "json")
        assert [row["outcome"] for row in again.json["workloads"]] == ["changed"]
    _unharmed(load, "leave, up, changed")
    assert set(load.identities) == {"local", "original", "second"}


async def test_first_up_and_down_of_two_replicas(world: World) -> None:
    await world.deploy(replicas=2, container=GRACEFUL, pod={"terminationGracePeriodSeconds": 30})
    assert await world.who(20) == {"original": 20}
    async with steady_load(world) as load:
        await world.devcluster("up", "-d")
        await world.devcluster("down")
    _unharmed(load, "first up and down of two replicas")
    assert set(load.identities) == {"local", "original"}

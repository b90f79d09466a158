"""``plan`` tells what ``up`` would do now, and ``up`` then does just that."""

from __future__ import annotations

from tests.edge.registry import serve_registry
from tests.scenarios.own_image import is_here, own_image
from tests.scenarios.world import World


def _file(world: World, **identities: str) -> None:
    rows = "".join(f"  {key}: {{environment: {{IDENTITY: {it}}}}}\n" for key, it in identities.items())
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads:\n{rows}")


async def _plan(world: World) -> dict[str, tuple[str, int]]:
    """Of each workload what becomes of it, and in how many steps."""
    rows = (await world.devcluster("plan", "-o", "json")).json["workloads"]
    return {row["name"]: (row["outcome"], len(row["steps"])) for row in rows}


async def _up(world: World) -> dict[str, str]:
    rows = (await world.devcluster("up", "-d", "-o", "json")).json["workloads"]
    return {row["name"]: row["outcome"] for row in rows}


async def _versions(world: World) -> list[str]:
    items = (await world.cluster.list("deployment", world.namespace)).items
    return [item["metadata"]["resourceVersion"] for item in items]


async def test_a_plan_is_what_up_does_then(world: World) -> None:
    await world.deploy()
    await world.deploy("api")
    _file(world, web="local", api="local")
    before = await _versions(world)
    planned = await _plan(world)
    assert {name: outcome for name, (outcome, _) in planned.items()} == {"web": "created", "api": "created"}
    assert min(steps for _, steps in planned.values()) > 5
    assert await _versions(world) == before
    assert await world.cluster_leftovers() == world.docker_leftovers() == []

    assert await _up(world) == {"web": "created", "api": "created"}
    assert await _plan(world) == {"web": ("unchanged", 0), "api": ("unchanged", 0)}
    assert "web (deployment/web): unchanged\n" in (await world.devcluster("plan")).stdout

    seen = (await world.status())["rewrites"]
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n"
        "  web: {environment: {API_HOST: api}}\n  api: {}\n"
    )
    await _plan(world)
    assert (await world.status())["rewrites"] == seen  # of what runs, whatever was asked since

    _file(world, web="edited", api="local")
    assert await _plan(world) == {"web": ("changed", 5), "api": ("unchanged", 0)}
    assert await world.who() == {"local": 20}
    assert await _up(world) == {"web": "changed", "api": "unchanged"}

    _file(world, web="edited")
    assert await _plan(world) == {"web": ("unchanged", 0), "api": ("put back", 1)}
    await world.devcluster("leave")
    planned = await _plan(world)
    assert (planned["api"], planned["web"][0]) == (("put back", 1), "created")
    assert await _up(world) == {"web": "created", "api": "put back"}


async def test_an_image_that_is_not_here_is_pulled_by_up_and_by_nothing_else(world: World) -> None:
    """The pod's, of which the laptop knows nothing but the name; the node has it."""
    with serve_registry() as registry, own_image(world, registry.reference, here=False) as archive:
        image = registry.reference
        await world.deploy(container={"image": image, "imagePullPolicy": "IfNotPresent"})
        registry.put(archive)
        row = (await world.devcluster("plan", "-o", "json")).json["workloads"][0]
        steps = [it["step"] for it in row["steps"]]
        assert steps[0] == f"pull image {image}"
        assert steps[1].startswith("publish the agent")
        said = f"until `up` has pulled image {image}, its command and its stop signal are unknown"
        assert said in row["notes"][-1]
        assert not is_here(image)
        assert registry.asked == []

        done = await world.devcluster("up", "-d")
        assert f"[web] pulling {image}\n" in done.stderr
        assert f"[web] pulled {image}\n" in done.stderr
        assert done.stderr.index("pulled") < done.stderr.index("publish the agent")
        await world.until_who("local")
        assert await _plan(world) == {"web": ("unchanged", 0)}
        await world.devcluster("down")

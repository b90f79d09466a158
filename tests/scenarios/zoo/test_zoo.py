"""Each animal: `up`, questions from inside the cluster, `leave`, `up`, `down`, and everything as it was.

Three of them belong to every run; all of them to ``scripts/test.sh zoo``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster.sandbox.base_image import BASE_IMAGE
from tests.scenarios import manifests
from tests.scenarios.python_world import build_image, load_python
from tests.scenarios.world import World, load_app, open_world
from tests.scenarios.zoo.animal import FOLDER, Animal, read_animals, with_images
from tests.scenarios.zoo.visitor import ask, visitor_pod

Json = dict[str, Any]
_GUARD = 180.0  # seconds for a roll-out
_SETTLE = 30.0  # seconds: kube-proxy learns of a pod a moment later
_EXAMPLES = FOLDER.parent.parent.parent / "examples"

ANIMALS = [
    pytest.param(it, id=it.name, marks=() if it.ordinary else pytest.mark.slow) for it in read_animals()
]


@dataclass(slots=True)
class Cage:
    """One animal in its namespace.  ``objects``: with their images."""

    world: World
    animal: Animal
    objects: list[Json]

    async def settle(self) -> None:
        """Until every workload is rolled out, and the visitor is there."""
        async with asyncio.timeout(_GUARD):
            while not all([_is_ready(await self._read(it)) for it in self._standing()]):
                await asyncio.sleep(0.3)

    async def snapshot(self) -> list[Json]:
        """What people wrote, as the cluster has it."""
        return [
            {key: (await self._read(it)).get(key) for key in ("kind", "spec", "data")} for it in self.objects
        ]

    async def questions(self, who: str, step: str) -> None:
        """Each is answered as it should be while *who* serves: at first perhaps late, then always."""
        for question in self.animal.ask:
            asked = await self._addressed(question)
            wanted = question.get("says") or question[who]
            await self._until(asked, wanted, step)
            for _ in range(3):
                said = await ask(self.world, asked)
                assert re.search(wanted, said), f"after {step}: {asked}: {said!r} instead of {wanted!r}"

    async def _until(self, asked: Json, wanted: str, step: str) -> None:
        late: set[str] = set()
        try:
            async with asyncio.timeout(_SETTLE):
                while not re.search(wanted, said := await ask(self.world, asked)):
                    late.add(said)
                    await asyncio.sleep(0.3)
        finally:
            if late:
                print(f"after {step}, before {wanted}: {sorted(late)}")

    async def look_inside(self) -> None:
        """What the local container has."""
        for look in self.animal.inside:
            done = await self.world.devcluster("exec", self.animal.key, "--", *look["run"], code=None)
            assert re.search(look["says"], done.stdout), f"{look}: {done.stdout}{done.stderr}"

    async def _addressed(self, question: Json) -> Json:
        if "$POD" not in str(question):
            return question
        labels = self.animal.workloads[0]["spec"]["selector"]["matchLabels"]
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        pods = (await self.world.cluster.list("pod", self.world.namespace, selector=selector)).items
        (pod,) = (pod for pod in pods if not pod["metadata"].get("deletionTimestamp"))
        return {
            key: value.replace("$POD", pod["status"]["podIP"]) if isinstance(value, str) else value
            for key, value in question.items()
        }

    def _standing(self) -> list[Json]:
        return [it for it in self.objects if it["kind"] == "Pod" or "template" in it.get("spec", {})]

    async def _read(self, body: Json) -> Json:
        return await manifests.read(self.world.cluster, self.world.namespace, body)


@pytest.fixture
async def cage(request: pytest.FixtureRequest, kubeconfig: Path, tmp_path: Path) -> AsyncIterator[Cage]:
    """The animal in a namespace of its own, rolled out."""
    animal: Animal = request.getfixturevalue("animal")
    tags = {name: await _load(kubeconfig, name) for name in sorted({"python", *animal.images})}
    async with open_world(kubeconfig, tmp_path, tags["python"]) as world:
        file = {"name": "shop", "namespace": world.namespace, "workloads": animal.file}
        world.write(yaml.safe_dump(file))
        objects = [visitor_pod(tags["python"]), *(with_images(it, tags) for it in animal.objects)]
        for body in objects:
            await manifests.create(world.cluster, world.namespace, body)
        opened = Cage(world, animal, objects)
        await opened.settle()
        yield opened


@pytest.mark.parametrize("animal", ANIMALS)
async def test_an_animal(animal: Animal, cage: Cage) -> None:
    world, before = cage.world, await cage.snapshot()
    await cage.questions("original", "the roll-out")
    planned = (await world.devcluster("plan")).stdout
    for text in animal.plan:
        assert text in planned, planned

    attached = await world.devcluster("up", "-d")
    for text in animal.up:
        assert text in attached.stderr, attached.stderr
    await cage.questions("local", "up")
    await cage.look_inside()
    await world.devcluster("leave")
    await cage.questions("original", "leave")
    await world.devcluster("up", "-d")
    await cage.questions("local", "another up")
    await world.devcluster("down", "-v")  # a database has changed its copy
    await cage.settle()
    await cage.questions("original", "down")

    assert await cage.snapshot() == before
    assert world.docker_leftovers() == []
    assert await world.cluster_leftovers() == []


async def _load(kubeconfig: Path, name: str) -> str:
    """The tag of the image that a manifest calls ``zoo/NAME``."""
    if name == "python":
        return await load_python(kubeconfig)
    if name == "app":
        return load_app(kubeconfig)
    folder = _EXAMPLES / "wordpress" / "mariadb" if name == "mariadb" else FOLDER / name
    return build_image(kubeconfig, folder, f"zoo-{name}", BASE=BASE_IMAGE)


def _is_ready(item: Json) -> bool:
    status, wanted = item.get("status") or {}, item["spec"].get("replicas", 1)
    if item["kind"] == "Pod":
        return any(it["ready"] for it in status.get("containerStatuses") or [])
    if status.get("observedGeneration", 0) < item["metadata"]["generation"]:
        return False
    if item["kind"] == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        return (
            bool(wanted)
            and status.get("numberAvailable", 0) == status.get("updatedNumberScheduled", 0) == wanted
        )
    counts = [status.get(key, 0) for key in ("updatedReplicas", "availableReplicas", "replicas")]
    return counts == [wanted] * 3

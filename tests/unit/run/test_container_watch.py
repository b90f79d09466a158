"""What the end of a local container means, by a scripted engine: a failure, a pause, or nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from devcluster.edge.docker.containers import HealthWords
from devcluster.edge.docker.engine import Engine
from devcluster.errors import FailedError
from devcluster.rules.container.health import HealthPlan
from devcluster.run.changes import Changes
from devcluster.run.local.container_watch import ContainerWatch
from devcluster.run.local.outage import ContainerEnd, Outage
from devcluster.run.turn import Turn

NAME = "devcluster-shop-web"
NEVER = HealthPlan("probe", probe={"tcpSocket": {"port": 80}})


class _World:
    """An engine and its outages at once.  ``ends``: how the container ends, one after the other; None: the
    engine took it along."""

    def __init__(self) -> None:
        self.ends: asyncio.Queue[ContainerEnd | None] = asyncio.Queue()
        self.reason = ""
        self.started: list[str] = []
        self.asked: list[str] = []
        self.changes = Changes()
        engine, outage = cast(Engine, self), cast(Outage, self)
        self.watch = ContainerWatch(engine, "web", NAME, outage, self.probe, self.changes)

    async def until_end_of(self, container: str) -> ContainerEnd | None:
        self.asked.append(container)
        self.changes.notify()
        return await self.ends.get()

    async def until_over(self) -> None:
        await self.changes.until(lambda: not self.reason)

    async def start(self, container: str) -> None:
        self.started.append(container)

    async def tell_health(self, container: str) -> HealthWords:
        return HealthWords("connection refused")

    async def is_stopped(self, container: str) -> bool:
        return False

    async def follow_logs(self, container: str, **_: Any) -> AsyncIterator[bytes]:
        yield b"its last words\n"

    async def probe(self, probe: dict[str, Any]) -> dict[str, Any]:
        return {"healthy": False, "text": "connection refused"}

    def end(self, words: str, code: int | None = None) -> None:
        self.ends.put_nowait(ContainerEnd(words, code))


@contextlib.asynccontextmanager
async def _running(world: _World) -> AsyncIterator[ContainerWatch]:
    task = asyncio.create_task(world.watch.run())
    try:
        async with asyncio.timeout(10):
            yield world.watch
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_an_end_with_another_code_is_a_failure() -> None:
    world = _World()
    async with _running(world) as watch:
        watch.follow("c1")
        assert watch.serving == "c1"
        world.end("ended with 3", 3)
        await world.changes.until(lambda: bool(watch.ended))
        assert watch.ended == f"the local container {NAME} ended with 3"
        assert watch.resting is None


async def test_an_end_with_0_is_a_pause() -> None:
    world = _World()
    async with _running(world) as watch:
        watch.follow("c1")
        world.end("ended with 0", 0)
        await world.changes.until(lambda: watch.resting is not None)
        assert (watch.ended, watch.serving) == ("", None)


async def test_one_that_is_unhealthy_has_failed_and_says_why() -> None:
    world = _World()
    async with _running(world) as watch:
        watch.follow("c1")
        world.end("became unhealthy")
        await world.changes.until(lambda: bool(watch.ended))
        assert watch.ended == f"the local container {NAME} became unhealthy: connection refused"


async def test_what_the_engine_took_along_did_not_end() -> None:
    world = _World()
    async with _running(world) as watch:
        watch.follow("c1")
        await world.changes.until(lambda: world.asked == ["c1"])
        world.reason = "the Docker engine does not answer"
        world.ends.put_nowait(None)
        await asyncio.sleep(0.01)
        assert (watch.ended, watch.resting, watch.serving) == ("", None, None)
        world.reason = ""
        world.changes.notify()
        world.end("ended with 3", 3)  # it is watched again
        await world.changes.until(lambda: bool(watch.ended))


async def test_a_late_word_of_a_former_life_says_nothing() -> None:
    world = _World()
    async with _running(world) as watch:
        watch.follow("c1")
        await world.changes.until(lambda: world.asked == ["c1"])
        watch.follow("c2")
        world.end("ended with 3", 3)  # c1, which was waited for
        world.end("ended with 4", 4)
        await world.changes.until(lambda: bool(watch.ended))
        assert watch.ended == f"the local container {NAME} ended with 4"


async def test_one_that_ends_with_0_before_it_is_healthy_is_started_again() -> None:
    world = _World()
    world.watch.follow("c1")
    world.end("ended with 0", 0)
    starting = asyncio.create_task(world.watch.wait_healthy(NEVER, Turn.of(5)))
    await world.changes.until(lambda: bool(world.started))
    assert world.started == ["c1"]
    world.end("ended with 3", 3)
    with pytest.raises(FailedError, match="ended with 3") as caught:
        await starting
    assert caught.value.hint == "its last lines:\nits last words"


async def test_one_that_keeps_ending_with_0_is_a_failure() -> None:
    world = _World()
    world.watch.follow("c1")
    for _ in range(3):
        world.end("ended with 0", 0)
        world.watch.lives.end(NAME, 0)
    with pytest.raises(FailedError, match="ended with 0, three times in a row within 10 s of its start"):
        await world.watch.wait_healthy(NEVER, Turn.of(5))


async def test_one_that_is_healthy_is_asked_on() -> None:
    world = _World()
    asked = HealthPlan("none", lasting={"tcpSocket": {"port": 80}}, period=0.01, failures=2)
    async with _running(world) as watch:
        watch.follow("c1")
        await watch.wait_healthy(asked, Turn.of(5))
        await world.changes.until(lambda: bool(watch.ended))
        said = "became unhealthy: connection refused (2 times in a row): connection refused"
        assert watch.ended == f"the local container {NAME} {said}"

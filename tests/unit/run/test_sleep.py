"""After sleep everything of a link is opened anew: an agent that is asked on the old way never answers."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import pytest

from devcluster.edge.agent.ssh import AgentLink
from devcluster.rules.agent.agent_pod import AgentPod
from devcluster.run.attach import sleep
from devcluster.run.attach.agent_link import PodLink, Tenure
from devcluster.run.changes import Changes
from tests.unit.run.scripted import ScriptedCluster, ScriptedLocal


class _Deaf:
    """Held once, then no word comes through any more."""

    heard = 0.0

    async def call(self, do: str, **_: Any) -> dict[str, Any]:
        if do != "hold":
            await asyncio.Event().wait()
        return {"epoch": 1, "lanes": 0}


async def test_a_link_ends_after_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    slept, looked = [7.0], asyncio.Event()

    def asleep() -> float:
        looked.set()
        return slept[0]

    monkeypatch.setattr(sleep, "asleep", asleep)
    link = _link(600.0)
    serving = asyncio.create_task(link._serve(cast(AgentLink, _Deaf())))
    async with asyncio.timeout(5):
        await looked.wait()
        slept[0] += 60
        with pytest.raises(ConnectionError, match="asleep"):
            await serving


async def test_an_answer_behind_megabytes_is_waited_for() -> None:
    """Bytes that come in are a sign of life; where none do, the beat's patience is the end."""
    link, late = _link(0.5), _Late()
    await link._one_beat(cast(AgentLink, late))
    late.heard -= 600
    with pytest.raises(TimeoutError):
        await link._one_beat(cast(AgentLink, late))


class _Late:
    """Never answers; ``heard`` is when bytes came in."""

    def __init__(self) -> None:
        self.heard = time.monotonic() + 60

    async def call(self, do: str, **_: Any) -> dict[str, Any]:
        raise TimeoutError


def test_this_machine_tells() -> None:
    assert sleep.asleep() >= -0.001


def _pod() -> AgentPod:
    return AgentPod(name="web-1", uid="u", ip="10.0.0.1", phase="Running")


def _link(lease: float) -> PodLink:
    changes = Changes()
    tenure = Tenure(1, {}, "", lease)
    cluster = ScriptedCluster([])
    cluster.show("web-1")
    cluster.agents["web-1"].dead = True
    return PodLink(_pod(), tenure, cluster, ScriptedLocal([], changes), changes)

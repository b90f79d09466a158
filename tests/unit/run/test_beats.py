"""What an agent's answers wake: at rest they come twice a second."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from devcluster.rules.agent.agent_pod import AgentPod
from devcluster.run.attach.agent_link import PodLink, Tenure
from devcluster.run.changes import Changes
from tests.unit.run.scripted import ScriptedCluster, ScriptedLocal

_STATE = {"epoch": 1, "lanes": 2, "route": "laptop", "lease_ms": 15000}


async def _count_looks(*states: dict[str, Any]) -> int:
    """How often somebody who waits looks again while an agent tells *states*, one after the other."""
    changes, looks = Changes(), 0
    pod = AgentPod(name="web-1", uid="u", ip="10.0.0.1", phase="Running")
    link = PodLink(pod, Tenure(1, {}, "", 15.0), ScriptedCluster([]), ScriptedLocal([], changes), changes)
    link._hear(_STATE)

    def look() -> bool:
        nonlocal looks
        looks += 1
        return False

    waiting = asyncio.create_task(changes.until(look))
    await asyncio.sleep(0)
    first = looks
    for state in states:
        link._hear(state)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    waiting.cancel()
    return looks - first


async def test_a_beat_that_tells_nothing_new_wakes_nobody() -> None:
    assert await _count_looks(_STATE | {"lease_ms": 14990}, _STATE | {"lease_ms": 14985}) == 0


async def test_what_is_new_does() -> None:
    assert await _count_looks(_STATE | {"lanes": 1}, _STATE | {"lanes": 1}) == 1


async def test_a_voice_after_silence_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devcluster.run.attach.agent_link.SILENT", -1.0)
    assert await _count_looks(_STATE) == 1

"""Two witnesses of a fault: who answers in the cluster, and what ``status --watch`` says at that moment.

Both write down the time of this machine, so that one can be held against the other.  A request counts from
its beginning: one that is begun while ``status`` says ``attached`` and does not reach the laptop is what
must not last.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.edge.cluster_world import node_of
from tests.scenarios.world import World

Json = dict[str, Any]
_LATE = 2.0  # seconds without an answer, then a request has not arrived; as long as a lie may last


@dataclass(frozen=True, slots=True)
class Request:
    """One that has ended.  ``who``: the answer's IDENTITY, or '' with ``error``."""

    began: float
    ended: float
    who: str
    error: str

    def arrived(self, who: str) -> bool:
        return self.who == who and self.ended - self.began < _LATE


@dataclass(frozen=True, slots=True)
class Said:
    """What ``status`` said from ``at`` on."""

    at: float
    state: str
    reason: str
    since: str


@dataclass(slots=True)
class Witness:
    """``requests`` in the order in which they ended; ``under_way``: when each other one began, by number."""

    requests: list[Request] = field(default_factory=list)
    under_way: dict[int, float] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)

    async def flows(self, who: str, *, since: float, guard: float) -> float:
        """When the first of five in a row that *who* answered in time was answered, begun after *since*."""
        async with asyncio.timeout(guard):
            while True:
                row = sorted((it for it in self.requests if it.began > since), key=lambda it: it.began)
                for number in range(len(row) - 4):
                    if all(it.arrived(who) for it in row[number : number + 5]):
                        return row[number].ended
                await asyncio.sleep(0.1)

    async def says(self, state: str, *, since: float, guard: float) -> float:
        """When ``status`` said *state*; *since* if it did so then."""
        async with asyncio.timeout(guard):
            while True:
                if self._at(since) == state:
                    return since
                for said in self.said:
                    if said.at > since and said.state == state:
                        return said.at
                await asyncio.sleep(0.1)

    def lie(self, who: str, *, since: float, until: float) -> float:
        """The longest time in which ``status`` said ``attached`` and no request arrived."""
        longest, began = 0.0, 0.0
        for it in sorted(self._asked(since, until), key=lambda one: one.began):
            if it.arrived(who) or self._at(it.began) != "attached":
                began = 0.0
                continue
            began = began or it.began
            longest = max(longest, it.began - began)
        return longest

    def explained(self, *, since: float, until: float) -> bool:
        """Whether each state but ``attached`` had a reason and a since-when."""
        other = [
            it for it in self.said if since <= it.at <= until and it.state not in ("attached", "starting")
        ]
        return all(it.reason and it.since for it in other)

    def failed(self, *, since: float, until: float) -> int:
        """Those that ended with an error or have no answer yet."""
        return sum(1 for it in self._asked(since, until) if it.error)

    def _asked(self, since: float, until: float) -> list[Request]:
        open_ = [Request(began, math.inf, "", "unanswered") for began in self.under_way.values()]
        return [it for it in (*self.requests, *open_) if since <= it.began <= until]

    async def settle(self, *, until: float, guard: float) -> None:
        """Return when all requests begun before *until* have ended, or after *guard* seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(guard):
                while any(began <= until for began in self.under_way.values()):
                    await asyncio.sleep(0.1)

    def wrong(self, identities: set[str]) -> int:
        """Answers by somebody who can't be."""
        return sum(1 for it in self.requests if not it.error and it.who not in identities)

    def _at(self, moment: float) -> str:
        former = [it.state for it in self.said if it.at <= moment]
        return former[-1] if former else ""


@contextlib.asynccontextmanager
async def open_witness(world: World, kubeconfig: Path) -> AsyncIterator[Witness]:
    """Both of them look while the block runs.  *kubeconfig* is the cluster's own, past any relay."""
    service = await world.cluster.get("service", "web", world.namespace)
    pid = _process_of(node_of(kubeconfig))
    script = str(Path(__file__).with_name("prober.py"))
    inside = ["nsenter", "-t", pid, "-n", sys.executable, script, service["spec"]["clusterIP"], "80"]
    witness = Witness()
    async with contextlib.AsyncExitStack() as stack:
        prober = await stack.enter_async_context(_running(*inside))
        watch = await stack.enter_async_context(_watching(world))
        async with asyncio.TaskGroup() as tasks:
            reading = [
                tasks.create_task(_read_requests(prober, witness), name="requests"),
                tasks.create_task(_read_status(watch, witness), name="status"),
            ]
            yield witness
            for task in reading:
                task.cancel()


def _process_of(container: str) -> str:
    command = ["docker", "inspect", "-f", "{{.State.Pid}}", container]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


@contextlib.asynccontextmanager
async def _running(*words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE, limit=1 << 20)
    async with _ended(process):
        yield process


@contextlib.asynccontextmanager
async def _watching(world: World) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await world.start("status", "--watch", "-o", "json")
    async with _ended(process):
        yield process


@contextlib.asynccontextmanager
async def _ended(process: asyncio.subprocess.Process) -> AsyncIterator[None]:
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _read_requests(process: asyncio.subprocess.Process, witness: Witness) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        told: Json = json.loads(line)
        number = told.pop("number")
        if "ended" in told:
            witness.under_way.pop(number, None)
            witness.requests.append(Request(**told))
        else:
            witness.under_way[number] = told["began"]


async def _read_status(process: asyncio.subprocess.Process, witness: Witness) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        document: Json = json.loads(line)
        for row in document.get("workloads", []):
            if "error" in document:
                said = Said(time.time(), "unknown", document["error"], str(row["since"]))
            else:
                said = Said(time.time(), row["state"], row["reason"], str(row["since"]))
            witness.said.append(said)

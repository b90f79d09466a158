"""Faults at random for a bounded time: ``python -m tests.faults.soak [--minutes 10] [--seed N]``.

One stage stands all of them, one after the other, from a seed that is printed.  The promises: no answer by
anybody who can't be, nothing left over after ``down``, and agent, gateway and host process hold at the end
at most 1.25 times the memory of the beginning.  A part that was replaced begins small, so the last minute's
largest is held against the first minute's largest, never one process against itself.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from devcluster.errors import DevclusterError
from devcluster.rules.container.docker_names import container_name
from tests.edge.cluster_world import node_of
from tests.faults.faults import FAULTS, Stage, scale
from tests.faults.matrix import open_stage, undo
from tests.faults.witness import Witness, open_witness
from tests.scenarios.laptops import host_process, resident
from tests.scenarios.node import agent_process
from tests.scenarios.world import load_app

GROWTH = 1.25
_MINUTE = 60.0
_GUARD = 120.0
_LEFT_OUT = ("api-drop-60", "api-reset-60", "engine-away")  # each takes a tenth of the time


@dataclass(slots=True)
class Memory:
    """Resident bytes of each part at a time, in seconds of the epoch."""

    seen: list[tuple[float, str, int]] = field(default_factory=list)

    def largest(self, part: str, since: float, until: float) -> int:
        return max((size for at, name, size in self.seen if name == part and since <= at <= until), default=0)

    def grown(self, began: float, ended: float) -> dict[str, float]:
        """By what each part's largest of the last minute exceeds that of the first one."""
        found = {}
        for part in ("agent", "gateway", "host"):
            first = self.largest(part, began, began + _MINUTE)
            last = self.largest(part, ended - _MINUTE, ended)
            found[part] = last / first if first else 0.0
        return found


async def _weigh(stage: Stage, memory: Memory) -> None:
    """Each part that can be found every few seconds; one that is away at the moment weighs nothing."""
    while True:
        for part, read in (("agent", _agent), ("gateway", _gateway), ("host", _host)):
            with contextlib.suppress(
                DevclusterError,
                AssertionError,
                ValueError,
                OSError,
                StopIteration,
                subprocess.SubprocessError,
            ):
                memory.seen.append((time.time(), part, await read(stage)))
        await asyncio.sleep(3)


async def _agent(stage: Stage) -> int:
    pods = await stage.world.cluster.list("pod", stage.world.namespace, selector="app=web")
    names = [it["metadata"]["name"] for it in pods.items if "deletionTimestamp" not in it["metadata"]]
    process = await asyncio.to_thread(agent_process, node_of(stage.kubeconfig), names[0] if names else "")
    return await asyncio.to_thread(process.rss)


async def _gateway(stage: Stage) -> int:
    name = container_name(stage.world.project, "web", "gateway")
    command = ["docker", "inspect", "-f", "{{.State.Pid}}", name]
    environ = stage.world.environ
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=True, env=environ
    )
    return resident(int(done.stdout))


async def _host(stage: Stage) -> int:
    return resident(host_process(stage.world))


async def _shake(stage: Stage, witness: Witness, chance: random.Random, until: float) -> int:
    """One fault after another until the time is over; how many."""
    faults, count = [it for it in FAULTS if it.name not in _LEFT_OUT], 0
    while time.time() < until:
        fault = chance.choice(faults)
        try:
            back = await fault.happen(stage)
            if fault.name == "scaled":  # the others want one pod
                back = await scale(stage, 1)
            flows = await witness.flows("local", since=back, guard=_GUARD)
            settled = await scale(stage, 1)  # a roll-out may still have its former pod
            await witness.says("attached", since=max(flows, settled), guard=_GUARD)
        except TimeoutError:
            tell_end(fault.title, stage, witness)
            raise
        count += 1
        print(f"{fault.title}: traffic again after {max(flows - back, 0):.1f} s", flush=True)
    return count


def tell_end(title: str, stage: Stage, witness: Witness) -> None:
    """What was seen of a fault that was not mended."""
    print(f"{title}: not mended within {_GUARD:.0f} s", *witness.said[-5:], sep="\n", flush=True)
    for log in stage.world.folder.glob("state/devcluster/*/session.log"):
        print(*log.read_text().splitlines()[-20:], sep="\n", flush=True)


async def soak(kubeconfig: Path, minutes: float, seed: int) -> int:
    app, memory = load_app(kubeconfig), Memory()
    with tempfile.TemporaryDirectory() as folder:
        async with open_stage(kubeconfig, Path(folder), app, own_engine=True) as stage:
            async with open_witness(stage.world, kubeconfig) as witness:
                weighing = asyncio.ensure_future(_weigh(stage, memory))
                began = time.time()
                await witness.flows("local", since=began, guard=_GUARD)
                chance = random.Random(seed)  # noqa: S311 (to be repeated, not to be secret)
                count = await _shake(stage, witness, chance, began + minutes * _MINUTE)
                ended = time.time()
                weighing.cancel()
                await witness.settle(until=ended, guard=10)
            left = await undo(stage)
    wrong, grown = witness.wrong({"local", "original"}), memory.grown(began, ended)
    failed, asked = witness.failed(since=began, until=ended), len(witness.requests)
    print(f"seed {seed}: {count} faults in {ended - began:.0f} s")
    print(f"{asked} requests, {failed} failed, {wrong} wrong answers")
    print("memory, last minute against first:", ", ".join(f"{it} {size:.2f}" for it, size in grown.items()))
    print(f"left over: {left or 'nothing'}")
    return int(bool(wrong or left or not all(0 < size <= GROWTH for size in grown.values())))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    where = Path(os.environ["DEVCLUSTER_TEST_KUBECONFIG"])
    return asyncio.run(soak(where, options.minutes, options.seed))


if __name__ == "__main__":
    sys.exit(main())

"""The table of docs/volumes.md, from one run: ``python -m benchmarks.volumes [--delay MS]…``.

On the cluster of DEVCLUSTER_TEST_KUBECONFIG (a sandbox here: the agent's CPU and memory are read from /proc).
Nothing is left afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.delay import delayed
from benchmarks.kubectl import time_copies
from benchmarks.processes import find_process, measure
from tests.scenarios.python_world import build_image, load_python, serve
from tests.scenarios.world import World, load_app, open_world

Side = Callable[[str], Awaitable[str]]
_IMAGE = Path(__file__).parent / "image"
_LARGE = 500 << 20
_REST = 90.0  # seconds
_FILL = """
import os
os.makedirs(ROOT, exist_ok=True)
for n in range(COUNT):
    with open(os.path.join(ROOT, str(n)), "wb") as file: file.write(os.urandom(SIZE))
"""
_UNTIL_COUNT = """
import os, time
while sum(len(files) for _, _, files in os.walk(ROOT)) < COUNT: time.sleep(0.01)
print(time.time())
"""
_LARGE_FILE = """
import os, time
part, block = ROOT + ".part", os.urandom(1 << 20)
with open(part, "wb") as file:
    for _ in range(COUNT): file.write(block)
os.rename(part, ROOT)
print(time.time())
"""
_UNTIL_SIZE = """
import os, time
while not os.path.exists(ROOT) or os.path.getsize(ROOT) < COUNT: time.sleep(0.01)
print(time.time())
"""
_WRITE = """
import os, time
os.makedirs("/data/lat", exist_ok=True)
for n in range(COUNT):
    with open(f"/data/lat/{ROOT}{n}", "w") as file: file.write(repr(time.time()))
    time.sleep(0.15)
"""
_WATCH = """
import json, os, time
seen, end = {}, time.time() + 60
while len(seen) < COUNT and time.time() < end:
    for name in os.listdir("/data/lat") if os.path.isdir("/data/lat") else ():
        if name.startswith(ROOT) and name not in seen:
            with open(f"/data/lat/{name}") as file: seen[name] = time.time() - float(file.read())
    time.sleep(0.002)
print(json.dumps(list(seen.values())))
"""
_FIND = """
import subprocess, time
began = time.time()
subprocess.run(["find", ROOT, "-type", "f"], stdout=subprocess.DEVNULL)
print(time.time() - began)
"""


_COMMIT = """
import subprocess
commit = "-c user.name=b -c user.email=b@b commit -qm all"
for words in ("init -q", "config gc.auto 0", "add .", commit, "gc -q"):
    subprocess.run(["git", "-C", ROOT, *words.split()], check=True)
"""
_STATUS = """
import subprocess, time
times = []
for _ in range(3):
    began = time.time()
    done = subprocess.run(["git", "-C", ROOT, "status", "--porcelain"], check=True, capture_output=True)
    times.append(time.time() - began)
    assert not done.stdout, done.stdout[:500]
print(min(times))
"""


def _script(text: str, root: str, count: int = 0, size: int = 0) -> str:
    return f"ROOT, COUNT, SIZE = {root!r}, {count}, {size}\n{text}"


class Bench:
    """One cluster's column.  ``rows``: by what was measured."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.rows: dict[str, str] = {}

    async def local(self, code: str) -> str:
        """A program in the local container; what it printed."""
        name = self._world.containers("web", "workload")[0]
        return await self._run("docker", "exec", name, "python3", "-c", code)

    async def pod(self, code: str) -> str:
        """The same in the pod."""
        words = ("-n", self._world.namespace, "exec", "deploy/web", "-c", "web", "--")
        return await self._run("kubectl", *words, "python3", "-c", code)

    async def _run(self, *words: str) -> str:
        pipe = asyncio.subprocess.PIPE
        environ = self._world.environ
        process = await asyncio.create_subprocess_exec(*words, env=environ, stdout=pipe, stderr=pipe)
        out, err = await process.communicate()
        assert process.returncode == 0, f"{words[:6]}: {err.decode()}"
        return out.decode()

    async def up(self) -> tuple[float, float]:
        """Seconds of the whole command, and of the phase that fills."""
        began = time.monotonic()
        done = await self._world.devcluster("up", "-d", "--verbose")
        took = time.monotonic() - began
        found = re.findall(r"copy the pod's volumes.*?done in ([\d.]+) s", done.stderr)
        return took, sum(map(float, found))

    async def all(self) -> None:
        await self.pod(_script(_FILL, "/data/small", 2000, 4096))
        took, fill = await self.up()
        self.rows["first copy of 2,000 files of 4 KiB (of `up`)"] = f"{fill:.2f} s ({took:.1f} s)"
        took, _ = await self.up()
        self.rows["unchanged `up`"] = f"{took:.2f} s"
        ways = (("pod to laptop", self.pod, self.local), ("laptop to pod", self.local, self.pod))
        for way, write, watch in ways:
            await self._latency(way, write, watch)
            await self._many(way, write, watch)
        for way, write, watch in ways:
            await self._large(way, write, watch)
        here = float(await self.local(_script(_FIND, "/data")))
        there = float(await self.pod(_script(_FIND, "/data")))
        self.rows["`find` over 6,000 files, in the container / in the pod"] = (
            f"{here * 1000:.0f} / {there * 1000:.0f} ms"
        )
        await self._rest()
        await self._world.devcluster("leave")
        took, fill = await self.up()
        self.rows["`up` after `leave`, 10,000 files and 1 GB alike on both sides (comparing)"] = (
            f"{took:.1f} s ({fill:.2f} s)"
        )
        await self._git()
        await self._world.devcluster("down", "-v")
        await self._others()

    async def _latency(self, way: str, write: Side, watch: Side) -> None:
        mark = way[0]
        watching = asyncio.ensure_future(watch(_script(_WATCH, mark, 60)))
        await asyncio.sleep(1)
        await write(_script(_WRITE, mark, 60))
        times = sorted(json.loads(await watching))
        middle, last = statistics.median(times) * 1000, times[round(len(times) * 0.99) - 1] * 1000
        self.rows[f"from a write to the other side, {way}, p50 / p99"] = f"{middle:.0f} / {last:.0f} ms"

    async def _many(self, way: str, write: Side, watch: Side) -> None:
        root = f"/data/many-{way[0]}"
        watching = asyncio.ensure_future(watch(_script(_UNTIL_COUNT, root, 2000)))
        await asyncio.sleep(1)
        began = time.time()
        await write(_script(_FILL, root, 2000, 4096))
        self.rows[f"2,000 files of 4 KiB, {way}"] = f"{float(await watching) - began:.2f} s"

    async def _large(self, way: str, write: Side, watch: Side) -> None:
        root = f"/data/large-{way[0]}"
        watching = asyncio.ensure_future(watch(_script(_UNTIL_SIZE, root, _LARGE)))
        await asyncio.sleep(1)
        written = float(await write(_script(_LARGE_FILE, root, _LARGE >> 20)))
        took = float(await watching) - written
        self.rows[f"1 file of 500 MiB, {way}, after its last byte was written"] = f"{took:.1f} s"

    async def _rest(self) -> None:
        await self.local(_script(_FILL, "/data/rest", 4000, 16))
        await self._world.devcluster("sync")
        await asyncio.sleep(5)
        space, pod = self._world.namespace, await self._pod()
        processes = {
            "engine": await self._container("sync"),
            "gateway": await self._container("gateway"),
            "host process": find_process(
                lambda line: "devcluster.run.host.process" in line and space in line
            ),
            "agent": find_process(lambda line: "guard -- python3 -uc" in line, pod),
        }
        used = await measure(processes, lambda: asyncio.sleep(_REST))
        for name, usage in used.items():
            row = f"{name} at rest with 10,000 files: CPU, memory"
            self.rows[row] = f"{usage.share:.2%}, {usage.memory >> 20} MiB"
        together = sum(it.share for it in used.values())
        self.rows["these four together: CPU"] = f"{together:.2%}"

    async def _container(self, role: str) -> int:
        """The process of the local container with this *role*."""
        (name,) = self._world.containers("web", role)
        return int(await self._run("docker", "inspect", "-f", "{{.State.Pid}}", name))

    async def _git(self) -> None:
        await self.local(_script(_FILL, "/data/repository", 10_000, 64))
        await self.local(_script(_COMMIT, "/data/repository"))
        await self._world.devcluster("sync")
        took = float(await self.local(_script(_STATUS, "/data/repository")))
        self.rows["`git status` over 10,000 files, in the container"] = f"{took * 1000:.0f} ms"

    async def _others(self) -> None:
        for name, path in (("2,000 files of 4 KiB", "small"), ("1 file of 500 MiB", "large-p")):
            times = await time_copies(self._run, self._world.namespace, await self._pod(), f"/data/{path}")
            for tool, row in times.items():
                self.rows[f"{tool}, {name}, pod to laptop / laptop to pod"] = row

    async def _pod(self) -> str:
        listing = await self._world.cluster.list("pod", self._world.namespace, selector="app=web")
        (name,) = (
            it["metadata"]["name"] for it in listing.items if "deletionTimestamp" not in it["metadata"]
        )
        return str(name)


async def measure_column(kubeconfig: Path, milliseconds: int) -> dict[str, str]:
    """One column."""
    app = await asyncio.to_thread(load_app, kubeconfig)
    python = await load_python(kubeconfig)
    image = await asyncio.to_thread(build_image, kubeconfig, _IMAGE, "bench", BASE=python)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if milliseconds:
            kubeconfig = await stack.enter_async_context(delayed(kubeconfig, folder, milliseconds))
        world = await stack.enter_async_context(open_world(kubeconfig, folder, app))
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "3Gi"}}}
        claim = {"metadata": {"name": "data"}, "spec": spec}
        await world.cluster.create("persistentvolumeclaim", claim, world.namespace, manager="bench")
        volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
        container = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
        await serve(world, "web", image, "serve(8080)", container=container, pod={"volumes": volumes})
        world.write(
            f"name: shop\nnamespace: {world.namespace}\nworkloads:\n"
            "  web: {volumes: {data: {mode: sync, limit: 3GiB}}}\n"
        )
        bench = Bench(world)
        await bench.all()
        return bench.rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=int, action="append", help="milliseconds; default: 0 and 20")
    delays = parser.parse_args().delay or [0, 20]
    kubeconfig = Path(os.environ["DEVCLUSTER_TEST_KUBECONFIG"])
    columns = {delay: asyncio.run(measure_column(kubeconfig, delay)) for delay in delays}
    print("| | " + " | ".join(f"{delay} ms" for delay in delays) + " |")
    print("|---|" + "---|" * len(delays))
    for row in columns[delays[0]]:
        print(f"| {row} | " + " | ".join(columns[delay].get(row, "") for delay in delays) + " |")


if __name__ == "__main__":
    main()

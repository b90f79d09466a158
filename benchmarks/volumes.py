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
from tests.scenarios.python_world import load_python, serve
from tests.scenarios.world import World, load_app, open_world

Side = Callable[[str], Awaitable[str]]
_LARGE = 500 << 20
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
        await self._kubectl()

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
        before, began = _processes(), time.monotonic()
        await asyncio.sleep(30)
        after, took = _processes(), time.monotonic() - began
        watched = {
            "engine": ("devcluster-gateway", " sync /volume"),
            "host process": ("devcluster.run.host.process", self._world.namespace),
            "agent": (".devcluster/bin/boot", "guard -- python3 -uc"),
        }
        for name, words in watched.items():
            found = [it for it in after if it in before and all(word in after[it][0] for word in words)]
            share = sum(after[it][1] - before[it][1] for it in found) / took / max(len(found), 1)
            memory = max((after[it][2] for it in found), default=0) >> 20
            self.rows[f"{name} at rest with 10,000 files: CPU, memory"] = f"{share:.2%}, {memory} MiB"

    async def _kubectl(self) -> None:
        space = self._world.namespace
        listing = await self._world.cluster.list("pod", space, selector="app=web")
        pod = listing.items[0]["metadata"]["name"]
        for name, path in (("2,000 files of 4 KiB", "small"), ("1 file of 500 MiB", "large-p")):
            with tempfile.TemporaryDirectory() as folder:
                began = time.monotonic()
                words = ("-n", space, "cp", "-c", "web", f"{pod}:/data/{path}", f"{folder}/it")
                await self._run("kubectl", *words)
                self.rows[f"`kubectl cp`, {name}, pod to laptop"] = f"{time.monotonic() - began:.1f} s"


def _processes() -> dict[int, tuple[str, float, int]]:
    """Of each process of this machine its command line, seconds of CPU and resident bytes."""
    found, ticks, page = {}, os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            pages = int((folder / "statm").read_text().split()[1])
        except OSError:
            continue
        used = (int(fields[11]) + int(fields[12])) / ticks
        found[int(folder.name)] = (line, used, pages * page)
    return found


async def measure(kubeconfig: Path, milliseconds: int) -> dict[str, str]:
    """One column."""
    app = await asyncio.to_thread(load_app, kubeconfig)
    image = await load_python(kubeconfig)
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
        await world.devcluster("down")
        return bench.rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=int, action="append", help="milliseconds; default: 0 and 20")
    delays = parser.parse_args().delay or [0, 20]
    kubeconfig = Path(os.environ["DEVCLUSTER_TEST_KUBECONFIG"])
    columns = {delay: asyncio.run(measure(kubeconfig, delay)) for delay in delays}
    print("| | " + " | ".join(f"{delay} ms" for delay in delays) + " |")
    print("|---|" + "---|" * len(delays))
    for row in columns[delays[0]]:
        print(f"| {row} | " + " | ".join(columns[delay].get(row, "") for delay in delays) + " |")


if __name__ == "__main__":
    main()

"""A Docker engine beside the one that runs the cluster, to be stopped and started at will.

Rules:
- it has a network namespace of its own, and so has the laptop that uses it: two engines in one namespace
  take each other's bridges and rules away, and published ports lead to 127.0.0.1 of their engine's namespace;
- nothing leads out of that namespace.  The API server is reached by the relay, whose listening socket is
  made in there and served from outside;
- ``nsenter``, not ``ip netns exec``: that one mounts /sys anew, and the engine finds no control groups.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

_GUARD = 60.0
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET of sched.h


@dataclass(slots=True)
class SecondEngine:
    """``name``: the network namespace's; ``folder``: all that it keeps."""

    name: str
    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def host(self) -> str:
        """As in DOCKER_HOST."""
        return f"unix://{self.folder}/docker.sock"

    @property
    def inside(self) -> tuple[str, ...]:
        """Words before a command that make it run in the engine's network."""
        return ("nsenter", f"--net=/run/netns/{self.name}", "--")

    async def start(self) -> None:
        """Return when it answers."""
        process = self.process = self._spawn()
        async with asyncio.timeout(_GUARD):
            while not await asyncio.to_thread(self._answers):
                assert process.poll() is None, (self.folder / "log").read_text()[-2000:]
                await asyncio.sleep(0.1)

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [*self.inside, "dockerd", "--host", self.host, "--pidfile", f"{self.folder}/pid"]
        command += ["--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/run"]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _answers(self) -> bool:
        return subprocess.run(["docker", "-H", self.host, "version"], capture_output=True).returncode == 0

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """As a restart of the service does it; return when it has ended.  SIGKILL takes its containerd and
        shims along, as a crash does."""
        assert self.process is not None
        self.process.send_signal(number)
        await asyncio.to_thread(self.process.wait, _GUARD)
        if number == signal.SIGKILL:
            await asyncio.to_thread(_end_strays, self.folder)
            (self.folder / "run/containerd/containerd.pid").unlink(missing_ok=True)  # or it is taken to run

    async def load(self, image: str) -> None:
        """Give it an image of the other engine."""
        await asyncio.to_thread(self._load, image)

    def _load(self, image: str) -> None:
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as save:
            load = ["docker", "-H", self.host, "load"]
            subprocess.run(load, stdin=save.stdout, check=True, timeout=120, stdout=subprocess.DEVNULL)

    def listen(self) -> socket.socket:
        """A listening socket on 127.0.0.1 of its network, any port."""
        return _inside(self.name, lambda: socket.create_server(("127.0.0.1", 0)))


def _inside(name: str, make: Callable[[], socket.socket]) -> socket.socket:
    """What *make* makes in the namespace: a thread enters it and ends; the socket stays where it was made."""
    made: list[socket.socket] = []

    def enter() -> None:
        with open(f"/run/netns/{name}") as handle:
            if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), _NEW_NETWORK) == 0:
                made.append(make())

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert made, f"the network namespace {name} can't be entered"
    return made[0]


@contextlib.asynccontextmanager
async def open_second_engine() -> AsyncIterator[SecondEngine]:
    """An engine that runs; nothing of it is left afterwards."""
    engine = SecondEngine(f"devcluster-{secrets.token_hex(3)}", Path(tempfile.mkdtemp(prefix="engine-")))
    try:
        _run("ip", "netns", "add", engine.name)
        _run(*engine.inside, "ip", "link", "set", "lo", "up")
        await engine.start()
        yield engine
    finally:
        await _close(engine)


async def _close(engine: SecondEngine) -> None:
    if engine.process is not None and engine.process.poll() is None:
        try:
            await engine.stop()
        except subprocess.TimeoutExpired:
            await engine.stop(signal.SIGKILL)
    await asyncio.to_thread(_remove, engine)


def _remove(engine: SecondEngine) -> None:
    _end_strays(engine.folder)
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        if (place := line.split()[1]).startswith(f"{engine.folder}/"):
            subprocess.run(["umount", "--lazy", place], check=False)
    subprocess.run(["ip", "netns", "del", engine.name], check=False)
    shutil.rmtree(engine.folder)


def _end_strays(folder: Path) -> None:
    """Whatever of an engine that was killed still runs: the engine's own processes name its folder, those in
    its containers have a container's control group."""
    data = folder / "data" / "containers"
    containers = [os.fsencode(it.name) for it in data.iterdir()] if data.exists() else []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if not process.name.isdigit():
                continue
            groups = (process / "cgroup").read_bytes()
            ours = os.fsencode(f"{folder}/") in (process / "cmdline").read_bytes()
            if ours or any(it in groups for it in containers):
                os.kill(int(process.name), signal.SIGKILL)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=30)

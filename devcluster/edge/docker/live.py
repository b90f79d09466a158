"""The engine of a live volume in a container of its own, with the volume, a small volume for its memory, and
nothing else.

Its stdin is ours for as long as we live.  If this process is killed, the engine's input ends and the engine
with it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster.edge.background import running
from devcluster.edge.docker.call import Calls
from devcluster.edge.docker.engine import Engine
from devcluster.edge.docker.gateway import remove_container
from devcluster.edge.docker.streams import STDOUT, Attached, attach
from devcluster.edge.streams import Streams
from devcluster.errors import EngineError
from devcluster.rules.container.docker_names import labels, memory_name

ROOT = "/volume"
STATE = "/memory/state"
_MOST = 1 << 20  # bytes that wait to be written
_CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"]


@dataclass(frozen=True, slots=True)
class LivePlace:
    """Where the laptop's side lies: the Docker volume *name*, or a *folder* of the laptop.  For a folder
    *name* is only a name, and the memory lies in a folder, too."""

    project: str
    key: str
    name: str
    folder: Path | None = None
    memory: Path | None = None


@contextlib.asynccontextmanager
async def open_live(engine: Engine, place: LivePlace, flags: Sequence[str]) -> AsyncIterator[Streams]:
    """Run the role ``sync`` with *flags*; an older one of this place is replaced.  The container is gone when
    the block has ended."""
    calls, name = engine.calls, f"{place.name}-sync"
    command = ["sync", ROOT, "--state", STATE, *flags]
    await remove_container(calls, name)
    await _ensure_memory(calls, place)
    try:
        config = _config(engine.gateway_image, place, command)
        what = f"start container {name}"
        await calls.make(what, calls.api.create_container_from_config, config, name)
        attached = await calls.make(what, _start, calls, name)
        streams = _Container(calls, attached, name)
        try:
            async with running(streams.send(), name=f"write to {name}"):
                yield streams
        finally:
            attached.close()
    finally:
        await remove_container(calls, name)


async def _ensure_memory(calls: Calls, place: LivePlace) -> None:
    if place.memory is not None:
        place.memory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return
    name = memory_name(place.name)
    ours = labels(place.project, "sync", place.key)
    await calls.make(f"create volume {name}", calls.api.create_volume, name, labels=ours)


def _start(calls: Calls, container: str) -> Attached:
    attached = attach(calls, container)
    attached.limit(None)
    calls.api.start(container)
    return attached


class _Container:
    def __init__(self, calls: Calls, attached: Attached, name: str) -> None:
        self._calls, self._attached, self._name = calls, attached, name
        self._unsent = bytearray()
        self._turn = asyncio.Condition()
        self._broken: EngineError | None = None

    async def parts(self) -> AsyncIterator[bytes]:
        words = b""
        async for stream, data in self._calls.items(f"read from {self._name}", _Source(self._attached)):
            if stream == STDOUT:
                yield data
            else:
                words = (words + data)[-4096:]
        if words:
            raise EngineError(f"{self._name}: {words.decode(errors='replace').strip()}")

    async def write(self, data: bytes) -> None:
        """Returns when there is room for more: a thread for each part would cost more than the part."""
        async with self._turn:
            await self._turn.wait_for(lambda: len(self._unsent) < _MOST or self._broken is not None)
            if self._broken is not None:
                raise self._broken
            self._unsent += data
            self._turn.notify_all()

    async def send(self) -> None:
        """Send what is written, until cancelled."""
        while self._broken is None:
            async with self._turn:
                await self._turn.wait_for(lambda: bool(self._unsent))
                part, self._unsent = bytes(self._unsent), bytearray()
                self._turn.notify_all()
            try:
                await self._calls.call(f"write to {self._name}", self._attached.write, part)
            except EngineError as error:
                self._broken = error
                async with self._turn:
                    self._turn.notify_all()


class _Source:
    """What ``Calls.items`` reads."""

    def __init__(self, attached: Attached) -> None:
        self._attached = attached

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        return self._attached.frames()

    def close(self) -> None:
        self._attached.close()


def _config(image: str, place: LivePlace, command: list[str]) -> dict[str, Any]:
    volume = _mount(place.name, place.folder, ROOT)
    memory = _mount(memory_name(place.name), place.memory, str(Path(STATE).parent))
    return {
        "Image": image,
        "Cmd": command,
        "Labels": labels(place.project, "sync", place.key),
        "OpenStdin": True,
        "StdinOnce": True,
        "StopTimeout": 5,
        "HostConfig": {
            "NetworkMode": "none",
            "Mounts": [volume, memory],
            "CapDrop": ["ALL"],
            "CapAdd": _CAPABILITIES,
            "ReadonlyRootfs": True,
            "SecurityOpt": ["no-new-privileges"],
            "LogConfig": {"Type": "none"},
        },
    }


def _mount(name: str, folder: Path | None, at: str) -> dict[str, Any]:
    if folder is not None:
        return {"Type": "bind", "Source": str(folder), "Target": at}
    return {"Type": "volume", "Source": name, "Target": at, "VolumeOptions": {"NoCopy": True}}

"""A private Docker volume as a tree: read and filled by a container that has nothing else.

Docker itself can neither list a volume nor keep times below the second when it copies into one; the gateway's
binary does both (role ``files``).  The tar stream passes through this process in constant memory.  The
container has no network, no log on disk, and only the few capabilities that setting owners needs.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from devcluster.edge.docker.call import GoneError
from devcluster.edge.docker.engine import Engine
from devcluster.edge.docker.gateway import remove_container
from devcluster.edge.docker.streams import STDOUT, Attached, attach
from devcluster.errors import EngineError
from devcluster.rules.container.docker_names import labels, volume_name

_CHUNK = 256 << 10
_QUIET = 300.0  # seconds in which the engine must take or give something
_IDENTITY = "devcluster.identity"
_CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"]


class VolumeDestination:
    """The volume *volume* (the pod's name or path of it) of a workload; ``name`` is Docker's name for it."""

    owners = True
    atomic = False

    def __init__(self, engine: Engine, project: str, key: str, volume: str) -> None:
        self.engine = engine
        self._calls = engine.calls
        self._image = engine.gateway_image
        self._project, self._key = project, key
        self.name = volume_name(project, key, volume)

    @classmethod
    def named(cls, engine: Engine, project: str, key: str, name: str) -> VolumeDestination:
        """The same by Docker's name of it."""
        target = cls(engine, project, key, "")
        target.name = name
        return target

    def check(self, *, ours: bool) -> None:
        """A volume of this name is always ours."""

    async def identity(self) -> str:
        """The label that this volume was given when it was made; '' when it does not exist.

        ``CreatedAt`` does not serve: up to Docker 20.10 it is the time of the last change in the volume's
        root.
        """
        calls = self._calls
        try:
            found = await calls.call(f"inspect volume {self.name}", calls.api.inspect_volume, self.name)
        except GoneError:
            return ""
        return str((found.get("Labels") or {}).get(_IDENTITY) or "made")

    async def ensure(self) -> str:
        """The volume's identity; it is made if it does not exist."""
        calls, ours = self._calls, labels(self._project, "volume", self._key)
        if not (identity := await self.identity()):
            ours[_IDENTITY] = secrets.token_hex(8)
            what = f"create volume {self.name}"
            await calls.make(what, calls.api.create_volume, self.name, labels=ours)
            identity = await self.identity()
        return identity

    async def scan(self, exclude: Sequence[str]) -> list[dict[str, Any]]:
        """One value for each name in the volume, as the agent gives it; [] where there is no volume."""
        if not await self.identity():
            return []
        flags = [word for pattern in exclude for word in ("--exclude", pattern)]
        async with self._container(["files", "scan", "/volume", *flags]) as attached:
            output = await self._result(attached)
        return [json.loads(line) for line in output.splitlines()]

    async def apply(self, delete: Sequence[str], stream: AsyncIterator[bytes]) -> None:
        """Remove, then unpack; EngineError with the helper's own words."""
        await self.ensure()
        line = json.dumps({"delete": list(delete)}, ensure_ascii=True).encode() + b"\n"
        async with self._container(["files", "apply", "/volume", "--delete-from", "-"]) as attached:
            await self._send(attached, line, stream)
            await self._result(attached)

    async def _send(self, attached: Attached, line: bytes, stream: AsyncIterator[bytes]) -> None:
        buffer = bytearray(line)
        what = f"fill volume {self.name}"
        try:
            async for part in stream:
                buffer += part
                if len(buffer) >= _CHUNK:
                    await self._calls.call(what, attached.write, bytes(buffer))
                    buffer.clear()
            await self._calls.call(what, attached.write, bytes(buffer))
            attached.end_input()
        except EngineError:  # it has ended before its input: it said why
            await self._result(attached)
            raise

    async def _result(self, attached: Attached) -> bytes:
        return await self._calls.call(f"read volume {self.name}", _collect, attached, self.name)

    @asynccontextmanager
    async def _container(self, command: list[str]) -> AsyncIterator[Attached]:
        calls = self._calls
        name = f"{self.name}-files-{secrets.token_hex(3)}"
        config = self._config(command)
        what = f"start container {name}"
        try:
            await calls.make(what, calls.api.create_container_from_config, config, name)
            attached = await calls.call(what, _start, calls, name)
            try:
                yield attached
            finally:
                attached.close()
        finally:
            await remove_container(calls, name)

    def _config(self, command: list[str]) -> dict[str, Any]:
        mount = {
            "Type": "volume",
            "Source": self.name,
            "Target": "/volume",
            "VolumeOptions": {"NoCopy": True},
        }
        return {
            "Image": self._image,
            "Cmd": command,
            "Labels": labels(self._project, "files", self._key),
            "OpenStdin": True,
            "StdinOnce": True,
            "HostConfig": {
                "NetworkMode": "none",
                "Mounts": [mount],
                "CapDrop": ["ALL"],
                "CapAdd": _CAPABILITIES,
                "ReadonlyRootfs": True,
                "SecurityOpt": ["no-new-privileges"],
                "LogConfig": {"Type": "none"},
            },
        }


def _start(calls: Any, container: str) -> Attached:
    attached = attach(calls, container)
    attached.limit(_QUIET)
    calls.api.start(container)
    return attached


def _collect(attached: Attached, name: str) -> bytes:
    """stdout to its end; any text on stderr is an error."""
    out: list[bytes] = []
    words: list[bytes] = []
    started = time.monotonic()
    for stream, data in attached.frames():
        (out if stream == STDOUT else words).append(data)
    if words:
        text = b"".join(words).decode(errors="replace").strip()
        raise EngineError(f"volume {name}: {text} (after {time.monotonic() - started:.0f} s)")
    return b"".join(out)

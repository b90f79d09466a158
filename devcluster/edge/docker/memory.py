"""A private copy in memory: what a pod keeps in memory never lies on the laptop's disk.

The engine mounts such a volume for its first container and drops it with its last one.  So a container of
ours, the keeper, has it from before it is filled until the workload is left: the helper that fills it ends
before the application starts, and the application may be restarted.  The naive way, a tmpfs of the
application's own container, is empty at its start: nobody can put anything into it before the application
looks.

Source: https://docs.docker.com/reference/cli/docker/volume/create/#opt (driver ``local``, ``type=tmpfs``)
"""

from __future__ import annotations

from typing import Any

from devcluster.edge.docker.call import GoneError
from devcluster.edge.docker.engine import Engine
from devcluster.edge.docker.files import VolumeDestination
from devcluster.edge.docker.gateway import remove_container
from devcluster.rules.container.docker_names import labels


class MemoryDestination(VolumeDestination):
    """At most *size* bytes (None: what the kernel gives), a part of its name: the engine can't change it."""

    def __init__(self, engine: Engine, project: str, key: str, volume: str, size: int | None) -> None:
        super().__init__(engine, project, key, f"{volume}-memory-{size or 0}")
        self._size = size
        self._keeper = f"{self.name}-keeper"

    async def identity(self) -> str:
        """Another one for each keeper, with which the content goes; '' where there is none."""
        calls = self._calls
        try:
            found = await calls.call(
                f"inspect container {self._keeper}", calls.api.inspect_container, self._keeper
            )
        except GoneError:
            return ""
        state = found["State"]
        return f"{found['Id']} {state['StartedAt']}" if state["Running"] else ""

    async def ensure(self) -> str:
        if identity := await self.identity():
            return identity
        calls = self._calls
        await remove_container(calls, self._keeper)
        size = {} if self._size is None else {"o": f"size={self._size}"}
        await calls.make(
            f"create volume {self.name}",
            calls.api.create_volume,
            self.name,
            driver="local",
            driver_opts={"type": "tmpfs", "device": "tmpfs"} | size,
            labels=labels(self._project, "volume", self._key),
        )
        what = f"start container {self._keeper}"
        await calls.make(what, calls.api.create_container_from_config, self._keeping(), self._keeper)
        await calls.make(what, calls.api.start, self._keeper)
        return await self.identity()

    async def drop(self) -> None:
        """The keeper goes, and the content as soon as no other container has it."""
        await remove_container(self._calls, self._keeper)

    def _keeping(self) -> dict[str, Any]:
        config = self._config(["hold"])
        config["Labels"] = labels(self._project, "memory", self._key)
        config["HostConfig"]["CapAdd"] = []
        return config | {"OpenStdin": False, "StdinOnce": False, "StopTimeout": 1}

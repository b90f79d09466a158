"""The live volumes of one workload together: which there are now, and which agent they are connected to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from devcluster.edge.agent.ssh import AgentLink
from devcluster.edge.background import ended, together
from devcluster.edge.docker.files import VolumeDestination
from devcluster.edge.folder.folder import FolderDestination
from devcluster.errors import ConfigurationError, DevclusterError
from devcluster.rules.volume.live import find_mount, inside, render_path
from devcluster.run.changes import Changes
from devcluster.run.report import Progress
from devcluster.run.site import Site
from devcluster.run.turn import Turn
from devcluster.run.volume.live_engine import LiveSpec
from devcluster.run.volume.live_volume import LiveVolume
from devcluster.run.volume.manifest import FileRewrite

Json = dict[str, Any]
LiveWish = tuple[LiveSpec, VolumeDestination | FolderDestination]

_RESERVE = 60.0  # seconds of a command for what comes after a flush
_LEAST = 15.0  # seconds that a flush has in any case
_UNREACHED = 10.0  # seconds in which a pod must be there
_FORMER = 10.0  # seconds for what is not synced any more


class LiveVolumes:
    """See the module.  ``run`` must be running for ``follow`` to work."""

    def __init__(self, site: Site, key: str, changes: Changes) -> None:
        self._site = site
        self._key = key
        self._changes = changes
        self._tasks: asyncio.TaskGroup | None = None
        self._of: dict[str, LiveVolume] = {}  # by label
        self._running: dict[str, asyncio.Task[None]] = {}
        self._agent: AgentLink | None = None
        self._unreached = False

    def __bool__(self) -> bool:
        return bool(self._of)

    async def run(self) -> None:
        """Let them run, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self._changes.notify()
            try:
                await asyncio.Event().wait()
            finally:
                for task in self._running.values():
                    task.cancel()

    def lead(self, agent: AgentLink | None) -> None:
        """From now on the pod's sides are *agent*'s."""
        self._agent, self._unreached = agent, False
        for volume in self._of.values():
            volume.lead(agent)

    async def follow(self, wishes: Mapping[str, LiveWish], turn: Turn) -> None:
        """Sync these, by label, and no others; what is dropped is brought over first."""
        await self._changes.until(lambda: self._tasks is not None)
        gone = [it for label, it in self._of.items() if label not in wishes or it.spec != wishes[label][0]]
        for volume in gone:
            deadline, say = turn.deadline.part(_FORMER), self._saying(turn, volume)
            if left := await volume.flush(deadline, patience=_FORMER, tell=say):
                turn.say(self._key, f"volume {volume.spec.label}: not brought over: {left}")
            await self._end(volume)
        for label, (spec, destination) in wishes.items():
            if label not in self._of:
                self._begin(LiveVolume(self._site, self._key, spec, destination, self._changes))

    def _begin(self, volume: LiveVolume) -> None:
        assert self._tasks is not None
        label = volume.spec.label
        self._of[label] = volume
        self._running[label] = self._tasks.create_task(volume.run(), name=f"live {label}")
        volume.lead(self._agent)

    async def fill(self, label: str, turn: Turn) -> None:
        """Wait until both sides are alike; what can't be is told."""
        volume = self._of[label]
        left = await volume.fill(turn.deadline, self._saying(turn, volume))
        if left:
            turn.say(self._key, f"volume {label}: still different: {left}")

    def _saying(self, turn: Turn, volume: LiveVolume) -> Callable[[Json], None]:
        label, text = volume.spec.label, f"syncing {volume.spec.label}"

        files = size = 0  # what is sent counts before the pod has it

        def say(status: Json) -> None:
            nonlocal files, size
            files = max(files, status["files"], status["pending"])
            size = max(size, status["bytes"], status["pending_bytes"])
            done, so_far = files - status["pending"], size - status["pending_bytes"]
            told = Progress(self._key, text, so_far, size, "bytes", item=label, files=done, files_total=files)
            turn.report(told)

        return say

    async def flush(self, turn: Turn, *, last: bool = False) -> tuple[str, ...]:
        """Bring over what is under way.  Return what could not be brought over, in words, a line for each
        volume.  *last*: nothing here writes any more."""
        deadline = turn.deadline.part(max(turn.deadline.left() - _RESERVE, _LEAST))
        patience = 1.0 if self._unreached else _UNREACHED

        async def one(volume: LiveVolume) -> str:
            try:
                left = await volume.flush(deadline, patience=patience, tell=self._saying(turn, volume))
            except DevclusterError as error:
                return f"volume {volume.spec.label}: {error}"
            self._unreached = self._unreached or not left.reached
            if last:
                volume.settle(str(left) if left else "")
            return f"volume {volume.spec.label}: {left}" if left else ""

        found = await together(*(one(volume) for volume in self._of.values()), name="flush")
        return tuple(line for line in found if line)

    async def keep(self, side: str, paths: tuple[str, ...], turn: Turn) -> None:
        """Decide for *side*'s version of *paths*, as the container sees them.  ConfigurationError for those
        about which there is nothing to decide; the others are decided."""
        of_volume: dict[str, list[str]] = {}
        labels = {volume.spec.mount: label for label, volume in self._of.items()}
        unknown = []
        for path in paths:
            if (found := find_mount(tuple(labels), path)) is None:
                unknown.append(path)
            else:
                of_volume.setdefault(labels[found[0]], []).append(found[1])
        for label, names in of_volume.items():
            volume = self._of[label]
            left = await volume.keep(side, tuple(names), turn.deadline)
            unknown += [inside(volume.spec.mount, name) for name in left]
        if unknown:
            raise ConfigurationError(
                f"there is nothing to decide about {', '.join(map(render_path, unknown))}",
                hint=self._undecided(),
            )

    def _undecided(self) -> str:
        rows = [volume.row for volume in self._of.values()]
        found = [render_path(it["path"]) for row in rows for it in row["conflicts"]]
        return f"conflicts: {', '.join(found)}" if found else "there are no conflicts"

    async def end(self) -> None:
        """None is synced any more; what the last flush said is remembered."""
        for volume in tuple(self._of.values()):
            await self._end(volume)

    async def _end(self, volume: LiveVolume) -> None:
        self._of.pop(volume.spec.label)
        task = self._running.pop(volume.spec.label)
        task.cancel()
        await ended(task)
        volume.note()
        self._changes.notify()

    def row(self, label: str) -> Json:
        """What ``status -o json`` says of one; {} where it is not synced."""
        return self._of[label].row if label in self._of else {}

    def rewrites(self) -> tuple[tuple[str, FileRewrite], ...]:
        """Where names were rewritten, with the volume's label."""
        return tuple((label, made) for label, volume in sorted(self._of.items()) for made in volume.rewrites)

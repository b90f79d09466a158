"""One live volume (`mode: sync`): its engine on the laptop, and the pod's agent that it is connected to.

The engine decides and does everything (docs/architecture.md, "Live volumes"); here it is kept running,
connected to the present agent, and asked.  If it ends, for whatever reason, it is started anew and continues
from its memory.  The naive way, an attachment that fails with it, would stop an application because of a
cache.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from devcluster.deadline import Deadline
from devcluster.edge.agent.ssh import AgentLink
from devcluster.edge.background import apart, running, unless_cancelled
from devcluster.edge.docker.files import VolumeDestination
from devcluster.edge.folder.folder import FolderDestination
from devcluster.edge.streams import Streams
from devcluster.errors import DevclusterError, FailedError
from devcluster.rules.names.rewriting import restore_text
from devcluster.rules.volume.live import Left, describe, parse_left
from devcluster.run.changes import Changes
from devcluster.run.site import Site
from devcluster.run.volume.engine_talk import EngineTalk
from devcluster.run.volume.live_engine import Laptop, LiveSpec, open_engine
from devcluster.run.volume.live_note import LiveNote, load_note, note_path, save_note
from devcluster.run.volume.manifest import FileRewrite
from devcluster.run.volume.private_copy import manifest_path

Json = dict[str, Any]
_AGAIN = 0.5  # seconds before what broke is tried again
_SLICE = 10.0  # seconds in which the engine must get somewhere
_FAILURES = 3  # starts that failed before it is said
_SAY_EVERY = 0.5  # seconds between two lines of progress
_TOLD = 1.0  # seconds until the engine has told what it has done
_ENDING = 5.0  # seconds for an engine's end


class LiveVolume:
    """See the module.  *destination*: where it lies on the laptop.  ``run`` lasts as long as the volume is
    synced; the other methods may be called from beside it."""

    def __init__(
        self,
        site: Site,
        key: str,
        spec: LiveSpec,
        destination: VolumeDestination | FolderDestination,
        changes: Changes,
    ) -> None:
        self.spec = spec
        self._site = site
        self._key = key
        self._destination = destination
        self._changes = changes
        self._agent: AgentLink | None = None
        self._talk: EngineTalk | None = None
        self._last: Json = {}  # what the engine said last, also a former one
        self._failures = 0
        self._trouble = ""
        self._manifest = manifest_path(site.place, destination)
        self._path = note_path(self._manifest)
        self._note = load_note(self._path) or LiveNote()

    @property
    def row(self) -> Json:
        """What ``status -o json`` says of it."""
        row = describe(self.spec.mount, self._status)
        return row if self._linked else row | {"trouble": self._trouble or row["trouble"]}

    @property
    def rewrites(self) -> tuple[FileRewrite, ...]:
        """Where names were rewritten, as far as was seen."""
        return tuple(made for name in sorted(self._note.rewrites) for made in self._note.rewrites[name])

    @property
    def _status(self) -> Json:
        if self._talk is not None and self._talk.status:
            self._last = self._talk.status
        return self._last

    def lead(self, agent: AgentLink | None) -> None:
        """From now on the pod's side is *agent*'s."""
        self._agent = agent
        self._changes.notify()

    async def run(self) -> None:
        """Keep its engine running, until cancelled."""
        try:
            while True:
                try:
                    async with self._open() as streams:
                        await apart(self._serve(streams), name=f"sync {self.spec.label}")
                except (DevclusterError, OSError) as error:
                    self._trouble = str(error)
                unless_cancelled()
                self._failures += 1
                self._changes.notify()
                await asyncio.sleep(_AGAIN)
        finally:
            self._talk = None

    async def fill(self, deadline: Deadline, tell: Callable[[Json], None]) -> Left:
        """Make both sides alike, except for what is returned; *tell* gets the engine's status meanwhile.
        FailedError where that is impossible."""
        before = self._moved
        left = await self.flush(deadline, patience=deadline.left(), tell=tell)
        if not left.reached or left.pending:
            raise FailedError(f"volume {self.spec.label} could not be synced: {left}", hint=self._trouble)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TOLD):  # who asks for the state next sees it
                await self._changes.until(lambda: self._status.get("state") == "settled")
        if self._moved != before:
            tell(self._status)
        return left

    async def flush(self, deadline: Deadline, *, patience: float, tell: Callable[[Json], None]) -> Left:
        """Wait for what is under way; return what can't be brought over.  *patience*: seconds without a pod;
        *tell* gets the engine's status meanwhile.  FailedError where the engine does not run."""
        async with running(self._tell(tell), name=f"progress of {self.spec.label}"):
            return await self._flush(deadline, patience)

    async def _flush(self, deadline: Deadline, patience: float) -> Left:
        began = time.monotonic()
        while True:
            talk = await self._ready(deadline)
            seconds = min(deadline.left(), _SLICE, patience if not self._linked else _SLICE)
            asked = time.monotonic()
            try:
                answer = await talk.flush(max(seconds, 0.1))
            except FailedError:
                if deadline.left() <= 0:
                    raise
                await asyncio.sleep(_AGAIN)
                continue
            in_time = time.monotonic() - asked < seconds
            left = parse_left(self.spec.mount, answer if not in_time else answer | {"pending": 0})
            over = deadline.left() <= 0 or (not left.reached and time.monotonic() - began > patience)
            if over or (left.reached and in_time):
                return left

    async def keep(self, side: str, paths: tuple[str, ...], deadline: Deadline) -> tuple[str, ...]:
        """Decide for *side*'s version of *paths*, relative to its root.  Return those about which there was
        nothing to decide."""
        return await (await self._ready(deadline)).keep(side, paths)

    def settle(self, left: str) -> None:
        """Nothing here writes any more, and *left* is not in the pod; '': everything is."""
        self._note.equal, self._note.left = not left, left

    def note(self) -> None:
        """Remember what it was when it ended."""
        save_note(self._path, self._note)

    @property
    def _moved(self) -> int:
        """Bytes, both ways, since its engine was started."""
        return int(self._status.get("received_bytes", 0) + self._status.get("sent_bytes", 0))

    @property
    def _linked(self) -> bool:
        return self._status.get("state") not in (None, "starting", "unreachable")

    async def _ready(self, deadline: Deadline) -> EngineTalk:
        failed = self._failures + _FAILURES
        try:
            async with deadline.bound():
                await self._changes.until(lambda: self._talk is not None or self._failures >= failed)
        except TimeoutError as error:
            raise FailedError(f"volume {self.spec.label} is not synced: {self._trouble}") from error
        if self._talk is None:
            raise FailedError(f"volume {self.spec.label} can't be synced: {self._trouble}")
        return self._talk

    async def _tell(self, tell: Callable[[Json], None]) -> None:
        told: Json = {}
        while True:
            await self._changes.until(lambda told=told: self._status is not told)  # type: ignore[misc]
            told = self._status
            if told.get("pending"):
                tell(told)
                await asyncio.sleep(_SAY_EVERY)

    @contextlib.asynccontextmanager
    async def _open(self) -> AsyncIterator[Streams]:
        identity = await self._identify()
        self._manifest.unlink(missing_ok=True)  # it is no private copy any more
        self._note.equal, self._note.left = False, ""
        self._note.key, self._note.folder = self._key, str(self.spec.plan.path or "")
        save_note(self._path, self._note)  # until an orderly end
        place = Laptop(self._site, self._key, self._destination, self._path)
        async with open_engine(place, self.spec, identity) as streams:
            yield streams

    async def _identify(self) -> str:
        """Which copy it is; another folder is another copy."""
        there = await self._destination.identity()
        made = await self._destination.ensure()
        if not there:
            self._note.copy = LiveNote().copy
        return f"{made}/{self._note.copy}"

    async def _serve(self, streams: Streams) -> None:
        talk = EngineTalk(streams, self._answer, self._changes.notify)
        self._talk, self._trouble = talk, ""
        self._changes.notify()
        try:
            async with (
                running(talk.run(), name=f"engine of {self.spec.label}") as engine,
                running(self._keep_led(talk), name=f"link of {self.spec.label}"),
            ):
                try:
                    await asyncio.wait({engine})
                finally:
                    await _end(talk, engine)
        finally:
            self._talk = None
            self._changes.notify()

    async def _keep_led(self, talk: EngineTalk) -> None:
        while True:
            await self._changes.until(lambda: self._agent is not None)
            agent = self._agent
            assert agent is not None
            with contextlib.suppress(DevclusterError, OSError):
                async with running(talk.carry(agent, self.spec.mount), name="carry") as work:
                    await self._changes.until(
                        lambda agent=agent, work=work: work.done() or self._agent is not agent  # type: ignore[misc]
                    )
            unless_cancelled()
            if talk.refusal:
                self._trouble = talk.refusal
            await asyncio.sleep(_AGAIN)

    def _answer(self, asked: Json) -> bytes | str:
        """The answer to the engine, in a thread.  A file that nobody rewrites is returned as it is."""
        rewrite = self.spec.rewrite
        content = base64.b64decode(asked["content"] or "")
        if rewrite is None:
            return content
        if asked["do"] == "rewrite":
            made, lines = rewrite.apply(asked["path"], content)
            self._note.rewrites[asked["path"]] = [
                FileRewrite(asked["path"], it.line, it.service, it.to, it.kept) for it in lines
            ]
            save_note(self._path, self._note)
            return made
        pod = base64.b64decode(asked["pod"] or "")
        services, namespace = rewrite.services, rewrite.namespace
        found = restore_text(content, pod, services=services, namespace=namespace, force=asked["force"])
        return found if found is not None else "it is not certain which names are short ones in the pod"


async def _end(talk: EngineTalk, engine: asyncio.Task[None]) -> None:
    """An engine that is told to end writes down what it knows."""
    if engine.done():
        return
    with contextlib.suppress(DevclusterError, TimeoutError):
        async with asyncio.timeout(_ENDING):
            await talk.end()
            await asyncio.wait({engine})

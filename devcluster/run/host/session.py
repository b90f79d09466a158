"""The host process: it holds what `up` attached, until it is told to let go.

One command at a time changes something (``up``, ``leave``, ``down``); anybody may ask for the state
meanwhile.  The attachments run beside each other; one that fails does not affect the others.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from typing import Any

from devcluster.config.model import Project
from devcluster.edge.lane.door import Door
from devcluster.errors import (
    ConfigurationError,
    FailedError,
)
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.container.tunnel_rewriting import OpenTunnel
from devcluster.run.attach.attachment import Attachment
from devcluster.run.changes import Changes
from devcluster.run.cluster.holders import own_holder
from devcluster.run.host.apply import Apply
from devcluster.run.host.failure import ending_error
from devcluster.run.host.holdings import Holdings
from devcluster.run.host.live_request import sync_one
from devcluster.run.host.opening import Opening
from devcluster.run.host.preconditions import check_before
from devcluster.run.host.results import rows_of, settle
from devcluster.run.image.images import obtain_images
from devcluster.run.local.tunnels import Tunnels
from devcluster.run.site import Site
from devcluster.run.turn import Turn
from devcluster.run.wanted.wanted import Wanted

Json = dict[str, Any]


class Session:
    """See the module.  Made by ``open_session``."""

    def __init__(self, site: Site, tasks: asyncio.TaskGroup) -> None:
        self.site = site
        self.changes = Changes()
        self._holder = own_holder(site.place)
        self._holdings = Holdings(site, tasks)
        self._tunnels = Tunnels(tasks, self._find_door)
        self._order: tuple[str, ...] = ()  # of the workloads in the file
        self._opening = Opening(site, self._holder, self._tunnels, self.changes)
        self._apply = Apply(site, self._holdings, self._opening)
        self._lock = asyncio.Lock()
        self.used = False  # whether anything was ever asked for

    @property
    def attachments(self) -> Mapping[str, Attachment]:
        """By the workload's key."""
        return self._holdings.attachments

    @property
    def failures(self) -> Mapping[str, str]:
        """Why an attachment ended by itself, by key; until it is attached again."""
        truths = {key: item.truth for key, item in self.attachments.items()}
        return {key: truth.reason for key, truth in truths.items() if truth.state in ("failed", "held")}

    @property
    def tunnels(self) -> tuple[OpenTunnel, ...]:
        """The open ones."""
        return self._tunnels.sight

    def _find_door(self) -> Door | None:
        """The door of the first workload of the file that has one."""
        held = sorted(self.attachments, key=lambda key: self._order.index(key) if key in self._order else -1)
        doors = (self.attachments[key].local.door for key in held)
        return next((door for door in doors if door is not None), None)

    def end(self) -> None:
        """What is held is about to be handed back for good; from now on `up` is refused."""
        self._holdings.ending = True

    def close(self) -> None:
        """Hold nothing any more; nothing is handed back."""
        self._holdings.close()
        self._tunnels.close()

    @property
    def live(self) -> bool:
        """Whether anything is attached or being attached."""
        return bool(self.attachments) or self._lock.locked()

    async def until_idle(self) -> None:
        """Return when nothing is attached any more."""
        await self.changes.until(lambda: not self.live)

    async def apply(
        self, project: Project, only: tuple[str, ...], turn: Turn, *, takeover: bool, whole: bool = False
    ) -> Json:
        """Make it as the file says.  Returns ``{"workloads": [{"name", "outcome", "detail"}], "notes"}``.

        Those that don't fail stay, and are named in the error; with *whole* they are put back as well.
        """
        async with self._working(turn):
            if self._holdings.ending:
                raise ending_error()
            chosen = [workload for workload in project.workloads if not only or workload.key in only]
            wanted = [await self._opening.read(project, workload.key) for workload in chosen]
            await self._check(project, wanted, only, turn)
            self._warn(wanted, turn)
            needed = [(it.workload.key, it.images) for it in wanted]
            obtained = await obtain_images(self.site.docker, needed, turn)
            results = await self._let_go(project, only, turn)
            if obtained or results:  # a workload under another name, or a port of theirs, may be wanted anew
                wanted = [await self._opening.read(project, workload.key, obtained) for workload in chosen]
            results += await self._apply.perform(wanted, turn, takeover=takeover, whole=whole)
            return {"workloads": rows_of(results), "notes": [f"tunnel {it}" for it in self.tunnels]}

    async def _check(self, project: Project, wanted: list[Wanted], only: tuple[str, ...], turn: Turn) -> None:
        """Check what can be known before anything changes; the tunnels' ports are ours from here on."""
        others = self._others(project, wanted, only)
        site = self.site
        await check_before(site.place, site.cluster, site.docker, wanted, only, others, turn.deadline)
        self._order = tuple(workload.key for workload in project.workloads)
        await self._tunnels.open(project.tunnels)

    def _warn(self, wanted: list[Wanted], turn: Turn) -> None:
        for item in wanted:
            if item.workload.key not in self.attachments:
                for caution in item.cautions:
                    turn.say(item.workload.key, f"warning: {caution}")

    async def _let_go(
        self, project: Project, only: tuple[str, ...], turn: Turn
    ) -> list[Json | BaseException]:
        """A bare `up` puts back what was taken out of the file."""
        gone = sorted(self._going(project, only))
        dropped = [] if only else await self._holdings.find_dropped(project, self._holder)
        results = await settle(
            *(self._holdings.detach(key, turn, remove_agent=True, tolerant=True) for key in gone),
            *(self._holdings.drop(mark, turn) for mark in dropped),
        )
        if dropped:
            await self._holdings.sweep(project)
        return results

    def _going(self, project: Project, only: tuple[str, ...]) -> set[str]:
        """What was taken out of the file; what a command serves need never have been in it."""
        there = {workload.key for workload in project.workloads}
        held = {key for key, it in self.attachments.items() if not it.wanted.workload.commanded}
        return set() if only else held - there

    def _others(
        self, project: Project, wanted: list[Wanted], only: tuple[str, ...]
    ) -> dict[str, WorkloadRef]:
        """What stays attached beside *wanted*; if no workload is named, what was taken out of the file goes
        first."""
        keys = self.attachments.keys() - self._going(project, only) - {it.workload.key for it in wanted}
        return {key: self.attachments[key].wanted.ref for key in sorted(keys)}

    async def leave(self, only: tuple[str, ...], turn: Turn) -> Json:
        """Hand back; agent, container and volumes stay for the next ``up``."""
        if self._lock.locked():
            await self._stop_commanded(only, turn)
        return await self._detach(only, turn, remove_agent=False)

    async def _stop_commanded(self, only: tuple[str, ...], turn: Turn) -> None:
        """Others come first: meanwhile the callers of a command that has ended wait in the pods."""
        for key in sorted(self.attachments.keys() & set(only)):
            if self.attachments[key].wanted.workload.commanded:
                await self.attachments[key].local.stop(turn)

    async def down(self, only: tuple[str, ...], turn: Turn) -> Json:
        """Hand back and remove everything that we made."""
        return await self._detach(only, turn, remove_agent=True)

    async def _detach(self, only: tuple[str, ...], turn: Turn, *, remove_agent: bool) -> Json:
        async with self._working(turn):
            keys = [key for key in sorted(self.attachments) if not only or key in only]
            work = (self._holdings.detach(key, turn, remove_agent=remove_agent) for key in keys)
            return {"workloads": rows_of(await settle(*work)), "notes": []}

    async def restart(self, key: str, turn: Turn) -> Json:
        """Stop and start the local side; connections wait meanwhile."""
        async with self._working(turn):
            attachment = self.attached(key)
            async with self._holdings.or_put_back(attachment.wanted, turn, created=False):
                await attachment.restart(turn)
            return {"workloads": [{"name": key, "outcome": "restarted", "detail": []}], "notes": []}

    async def sync(
        self, only: tuple[str, ...], turn: Turn, *, side: str = "", paths: tuple[str, ...] = ()
    ) -> Json:
        """Bring over what is under way in the live volumes; before that, decide for *side*'s version of
        *paths*.  It runs beside other commands, since it changes no attachment.  RemainsError names what
        can't be brought over."""
        attachments = [self.attached(key) for key in only] or list(self.attachments.values())
        done = await settle(*(sync_one(it, turn, side, paths) for it in attachments))
        return {"workloads": rows_of(done), "notes": []}

    async def environment(self, key: str, turn: Turn) -> Json:
        """``{"variables": [[name, value], …]}`` of what is attached; only for the private socket."""
        environment = await self.attached(key).environment(turn)
        return {"variables": [list(pair) for pair in environment.variables]}

    def attached(self, key: str) -> Attachment:
        """ConfigurationError where it is not."""
        attachment = self.attachments.get(key)
        if attachment is None:
            raise ConfigurationError(f"{key} is not attached", hint=f"`devcluster up {key}` starts it")
        return attachment

    async def compare(self, project: Project, only: tuple[str, ...], turn: Turn) -> Json:
        """What another ``up`` would make of what is attached: ``{"workloads": [{"name", "title",
        "decision"}], "beside"}``, the last one of ``rules.outcome``; ``beside``: titles of what *only* leaves
        out."""
        rows, going = [], self._going(project, only)
        meant = going | set(only or [workload.key for workload in project.workloads])
        for key, attachment in sorted(self.attachments.items()):
            if key not in meant:
                continue
            wanted = None if key in going else await self._opening.read(project, key)
            decision = await self._apply.decide(attachment, wanted, turn)
            rows.append({"name": key, "title": attachment.wanted.title, "decision": asdict(decision)})
        beside = {key: it.wanted.title for key, it in self.attachments.items() if key not in meant}
        return {"workloads": rows, "beside": beside}

    @contextlib.asynccontextmanager
    async def _working(self, turn: Turn) -> AsyncIterator[None]:
        """One at a time.  FailedError where the one before takes too long."""
        try:
            async with turn.deadline.bound():
                await self._lock.acquire()
        except TimeoutError as error:
            raise FailedError(
                f"another command of this project was still at work after {turn.deadline.span:.0f} s",
                hint="wait until it has ended, or give this one more time with `--timeout`",
            ) from error
        try:
            self.used = True
            self.changes.notify()  # live from now on; a first `up` that fails ends the host process
            yield
        finally:
            self._lock.release()
            asyncio.get_running_loop().call_soon(self.changes.notify)


@contextlib.asynccontextmanager
async def open_session(site: Site) -> AsyncIterator[Session]:
    """A session whose attachments live until the block ends."""
    async with asyncio.TaskGroup() as tasks:
        session = Session(site, tasks)
        try:
            yield session
        finally:
            session.close()

"""The host process: it holds what `up` attached, until it is told to let go.

One command at a time changes something (``up``, ``leave``, ``down``); anybody may ask for the state
meanwhile.  The attachments run beside each other; one that fails does not affect the others.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import asdict, replace
from typing import Any

from devcluster.config.model import Project
from devcluster.edge.lane.door import Door
from devcluster.errors import (
    ConfigurationError,
    DevclusterError,
    FailedError,
    LeftoverError,
)
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.container.tunnel_rewriting import OpenTunnel
from devcluster.rules.outcome import Comparison, Decision, decide
from devcluster.rules.volume.live import stays_here
from devcluster.rules.volume.volumes import labelled
from devcluster.run.attach.attachment import Attachment
from devcluster.run.changes import Changes
from devcluster.run.cluster.holders import own_holder
from devcluster.run.cluster.install import BusyError, Installed
from devcluster.run.exports import Exports
from devcluster.run.host.failure import Attempt
from devcluster.run.host.holdings import Holdings
from devcluster.run.host.live_request import sync_one
from devcluster.run.host.opening import Opening
from devcluster.run.host.preconditions import check_before
from devcluster.run.host.results import half_way, rows_of
from devcluster.run.image.images import NOTHING, Obtained, obtain_images
from devcluster.run.local.tunnels import Tunnels
from devcluster.run.site import Site
from devcluster.run.turn import Turn
from devcluster.run.wanted.wanted import Wanted, read_wanted

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
        self._lock = asyncio.Lock()
        self.used = False  # whether anything was ever asked for
        self.ending = False  # what it holds is being handed back for good

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
            if self.ending:
                raise _just_ending()
            chosen = [workload for workload in project.workloads if not only or workload.key in only]
            wanted = [await self.read(project, workload.key) for workload in chosen]
            await self._check(project, wanted, only, turn)
            self._warn(wanted, turn)
            needed = [(it.workload.key, it.images) for it in wanted]
            obtained = await obtain_images(self.site.docker, needed, turn)
            results = await self._let_go(project, only, turn)
            if obtained or results:  # a workload under another name, or a port of theirs, may be wanted anew
                wanted = [await self.read(project, workload.key, obtained) for workload in chosen]
            results += await self._apply_all(wanted, turn, takeover=takeover, whole=whole)
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
                if text := stays_here(labelled(item.volumes)):
                    turn.say(item.workload.key, text)

    async def _let_go(
        self, project: Project, only: tuple[str, ...], turn: Turn
    ) -> list[Json | BaseException]:
        """A bare `up` puts back what was taken out of the file."""
        gone = [] if only else sorted(self.attachments.keys() - {it.key for it in project.workloads})
        dropped = [] if only else await self._holdings.find_dropped(project, self._holder)
        results = await self._settle(
            *(self._holdings.detach(key, turn, remove_agent=True, tolerant=True) for key in gone),
            *(self._holdings.drop(mark, turn) for mark in dropped),
        )
        if dropped:
            await self._holdings.sweep(project)
        return results

    def _others(
        self, project: Project, wanted: list[Wanted], only: tuple[str, ...]
    ) -> dict[str, WorkloadRef]:
        """What stays attached beside *wanted*; if no workload is named, what was taken out of the file goes
        first."""
        going = set() if only else self.attachments.keys() - {it.key for it in project.workloads}
        keys = self.attachments.keys() - going - {it.workload.key for it in wanted}
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
        """Hand back and take everything of ours away."""
        return await self._detach(only, turn, remove_agent=True)

    async def _detach(self, only: tuple[str, ...], turn: Turn, *, remove_agent: bool) -> Json:
        async with self._working(turn):
            keys = [key for key in sorted(self.attachments) if not only or key in only]
            work = (self._holdings.detach(key, turn, remove_agent=remove_agent) for key in keys)
            return {"workloads": rows_of(await self._settle(*work)), "notes": []}

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
        done = await self._settle(*(sync_one(it, turn, side, paths) for it in attachments))
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
        rows = []
        for key, attachment in sorted(self.attachments.items()):
            if only and key not in only:
                continue
            in_file = any(workload.key == key for workload in project.workloads)
            wanted = await self.read(project, key) if in_file else None
            decision = await self._decide(attachment, wanted, turn)
            rows.append({"name": key, "title": attachment.wanted.title, "decision": asdict(decision)})
        beside = {key: it.wanted.title for key, it in self.attachments.items() if only and key not in only}
        return {"workloads": rows, "beside": beside}

    async def _decide(self, current: Attachment | None, wanted: Wanted | None, turn: Turn) -> Decision:
        if wanted is None:
            return decide(Comparison(in_file=False))
        seen = Comparison(
            attached=current.truth.state if current is not None else None,
            agent_fits=wanted.install.adopted,
            astray=wanted.install.astray,
            same_taking=current is None or current.is_taken_as(wanted),
        )
        if current is not None and seen.in_place:
            seen = replace(seen, differs=not wanted.images.here or await current.differs(wanted, turn))
        return decide(seen)

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

    async def _settle(self, *work: Coroutine[Any, Any, Json]) -> list[Json | BaseException]:
        """All at once; if some fail the others still go on to their end."""
        return list(await asyncio.gather(*work, return_exceptions=True))

    async def read(self, project: Project, key: str, obtained: Obtained = NOTHING) -> Wanted:
        """The workload as the file and the cluster say now; *obtained*: what was pulled for it."""
        workload = next(item for item in project.workloads if item.key == key)
        site = self.site
        return await read_wanted(site.cluster, site.docker, project, workload, site.place.namespace, obtained)

    async def _apply_all(
        self, wanted: list[Wanted], turn: Turn, *, takeover: bool, whole: bool
    ) -> list[Json | BaseException]:
        """All at once.  If it is broken off, or one fails with *whole*, or this process is told to end
        meanwhile, what was done is put back, too."""
        before = frozenset(self.attachments)
        try:
            results = await self._settle(*(self._apply_one(item, turn, takeover=takeover) for item in wanted))
        except asyncio.CancelledError:
            for item, error in await self._undo(wanted, turn, before, "interrupted"):
                self._holdings.tell(item, error, turn)
            raise
        both = zip(wanted, results, strict=True)
        failed = [item.workload.key for item, result in both if isinstance(result, BaseException)]
        if not self.ending and not (whole and failed):
            return half_way(results)
        why = f"{', '.join(failed)} failed" if failed else "ending"
        undone = await self._undo(wanted, turn, before, why)
        errors = [result for result in results if isinstance(result, BaseException)]
        errors += [_just_ending()] if self.ending else []
        return half_way([*errors, *(_as_well(item, error) for item, error in undone)])

    async def _undo(
        self, wanted: list[Wanted], turn: Turn, before: frozenset[str], why: str
    ) -> list[tuple[Wanted, DevclusterError]]:
        """Put back what is attached now and was not *before*; return each with the error that resulted."""
        done = [it for it in wanted if it.workload.key in self.attachments.keys() - before]
        error = FailedError(why)
        put_back = (
            self._holdings.put_back(it, turn, created=not it.install.adopted, error=error) for it in done
        )
        return list(zip(done, await asyncio.gather(*put_back), strict=True))

    async def _apply_one(self, wanted: Wanted, turn: Turn, *, takeover: bool) -> Json:
        turn = turn.stretched(wanted.patience)
        current = self.attachments.get(wanted.workload.key)
        if current is not None:
            await current.until_engine(turn)
        decision = await self._decide(current, wanted, turn)
        if decision.work == "attach" or current is None:
            current = await self._attach(wanted, current, turn, takeover=takeover)
        else:
            await self._edit(current, wanted, decision, turn, takeover=takeover)
        return self._row(current, decision.outcome, await self._tell_environment(current, turn))

    async def _tell_environment(self, attachment: Attachment, turn: Turn) -> list[str]:
        """What there is to say about the environment; the file with it is written."""
        workload = attachment.wanted.workload
        if not attachment.wanted.serving.exports_always and workload.env_export is None:
            return Exports(self.site.place).remove([workload.key])
        environment = await attachment.environment(turn)
        exported = Exports(self.site.place).write(workload.key, workload.env_export, environment)
        return [*environment.notes, *exported]

    async def _edit(
        self, current: Attachment, wanted: Wanted, decision: Decision, turn: Turn, *, takeover: bool
    ) -> None:
        if decision.work == "edit":
            await current.check(wanted)
        async with self._holdings.or_put_back(wanted, turn, created=False) as attempt:
            if decision.lead:
                await self._install(wanted, turn, takeover=takeover, attempt=attempt)
                await current.until_repaired(turn)
            if decision.work == "edit":
                await current.change(wanted, turn)

    async def _attach(
        self, wanted: Wanted, former: Attachment | None, turn: Turn, *, takeover: bool
    ) -> Attachment:
        """*former*: what is attached under the same key; it is handed back first."""
        created = not wanted.install.adopted
        async with self._holdings.or_put_back(wanted, turn, created=created, begun=False) as attempt:
            if former is not None:
                if former.truth.state not in ("failed", "held"):
                    attempt.begin()
                    await former.hand_back(turn)
                await self._holdings.end(former)
            takeover = takeover or await self._opening.is_abandoned(wanted)
            wanted, installed = await self._install(wanted, turn, takeover=takeover, attempt=attempt)
            attachment = await self._opening.acquire(wanted, installed, takeover=takeover)
            self._holdings.add(attachment)
            await attachment.attach(turn)
        return attachment

    async def _install(
        self, wanted: Wanted, turn: Turn, *, takeover: bool, attempt: Attempt
    ) -> tuple[Wanted, Installed]:
        """Start again from the beginning where somebody else installs the same at this very moment."""
        try:
            installed = await self._opening.install(wanted, turn, takeover=takeover, begin=attempt.begin)
        except BusyError:
            wanted = await self.read(wanted.project, wanted.workload.key, wanted.images.obtained)
            installed = await self._opening.install(wanted, turn, takeover=takeover, begin=attempt.begin)
        return wanted, installed

    def _row(self, attachment: Attachment, outcome: str, notes: list[str]) -> Json:
        local = attachment.local.sight
        detail = [f"{attachment.wanted.title} is answered by {local.name}"]
        detail += [str(port) for port in local.ports]
        detail += notes
        warnings = [asdict(caution) for caution in attachment.wanted.cautions]
        row = {"name": attachment.key, "outcome": outcome, "detail": detail, "warnings": warnings}
        return row | ({"silent": list(local.silent)} if local.silent else {})


def _just_ending() -> FailedError:
    return FailedError("devcluster's background process is shutting down", hint="run the command again")


def _as_well(wanted: Wanted, error: DevclusterError) -> DevclusterError:
    left = isinstance(error, LeftoverError)
    return error if left else FailedError(f"{wanted.title} was put back, too")


@contextlib.asynccontextmanager
async def open_session(site: Site) -> AsyncIterator[Session]:
    """A session whose attachments live until the block ends."""
    async with asyncio.TaskGroup() as tasks:
        session = Session(site, tasks)
        try:
            yield session
        finally:
            session.close()

"""The host process: holds what `up` attached, until it is told to let go.

One at a time changes something (``up``, ``leave``, ``down``); anybody may ask for the state meanwhile.
The attachments run beside each other; one that fails does not take the others along.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import asdict
from typing import Any

from devcluster.config.model import Project
from devcluster.errors import (
    ConfigurationError,
    DevclusterError,
    FailedError,
    LeftoverError,
)
from devcluster.rules.identity import WorkloadRef
from devcluster.run.host.attachment import Attachment
from devcluster.run.host.changes import Changes
from devcluster.run.host.failing import Attempt
from devcluster.run.host.holdings import Holdings
from devcluster.run.host.opening import Opening
from devcluster.run.host.results import half_way, rows_of
from devcluster.run.report import Progress, Report, silent
from devcluster.run.site import Site
from devcluster.run.turn import Turn
from devcluster.run.volume.folders import check_folders
from devcluster.run.workload.holding import own_holder
from devcluster.run.workload.images import NOTHING, Obtained, obtain_images
from devcluster.run.workload.install import BusyError, Installed
from devcluster.run.workload.permission import check_rights
from devcluster.run.workload.ports import check_ports
from devcluster.run.workload.wanted import Wanted, check_targets, read_wanted

Json = dict[str, Any]


class Session:
    """See the module.  Made by ``open_session``."""

    def __init__(self, site: Site, tasks: asyncio.TaskGroup) -> None:
        self.site = site
        self.changes = Changes()
        self._holder = own_holder(site.place)
        self._holdings = Holdings(site, tasks, self.changes)
        self._opening = Opening(site, self._holder)
        self._lock = asyncio.Lock()
        self.used = False  # whether anything was ever asked for
        self.ending = False  # what it holds is being handed back for good
        site.changed = self.changes.notify
        site.failed = self._holdings.failed

    @property
    def attachments(self) -> Mapping[str, Attachment]:
        """By the workload's key."""
        return self._holdings.attachments

    @property
    def failures(self) -> Mapping[str, str]:
        """Why an attachment ended by itself, by key; until it is attached again."""
        return self._holdings.failures

    def close(self) -> None:
        """Hold nothing any more; nothing is handed back."""
        self._holdings.close()

    @property
    def live(self) -> bool:
        """Whether anything is attached or being attached."""
        return bool(self.attachments) or self._lock.locked()

    async def until_idle(self) -> None:
        """Return when nothing is attached any more."""
        await self.changes.until(lambda: not self.live)

    async def apply(
        self,
        project: Project,
        only: tuple[str, ...],
        *,
        takeover: bool,
        timeout: float,
        report: Report = silent,
        whole: bool = False,
    ) -> Json:
        """Make it as the file says.  Answers ``{"workloads": [{"name", "outcome", "detail"}], "notes"}``.

        Those that don't fail stay, and are named in the error; with *whole* they are put back as well.
        """
        async with self._turn(report, timeout):
            if self.ending:
                raise _just_ending()
            chosen = [workload for workload in project.workloads if not only or workload.key in only]
            wanted = [await self.read(project, workload.key) for workload in chosen]
            check_targets(wanted, self._others(project, wanted, only))
            await check_ports(self.site.engine, self.site.place.id, wanted, only)
            await check_folders(self.site.place, wanted)
            for item in wanted:
                await check_rights(self.site.cluster, item.install)
            for item in wanted:
                if item.workload.key not in self.attachments:
                    for caution in item.cautions:
                        report(Progress(item.workload.key, f"warning: {caution}"))
            turn = Turn.of(timeout, report)
            obtained = await obtain_images(
                self.site.engine, [(it.workload.key, it.images) for it in wanted], turn
            )
            if obtained:
                wanted = [await self.read(project, workload.key, obtained) for workload in chosen]
            gone = [] if only else sorted(self.attachments.keys() - {it.key for it in project.workloads})
            dropped = () if only else await self._holdings.find_dropped(project, self._holder)
            results = await self._settle(
                *(self._holdings.detach(key, remove_agent=True, tolerant=True) for key in gone),
                *(self._holdings.drop(mark) for mark in dropped),
            )
            if dropped:
                await self._holdings.sweep(project)
            if results:  # a workload under another name, or a port of theirs, may be wanted anew
                wanted = [await self.read(project, workload.key, obtained) for workload in chosen]
            results += await self._apply_all(wanted, takeover=takeover, whole=whole)
            return {"workloads": rows_of(results), "notes": []}

    def _others(
        self, project: Project, wanted: list[Wanted], only: tuple[str, ...]
    ) -> dict[str, WorkloadRef]:
        """What stays attached beside *wanted*; without names what was taken out of the file goes first."""
        going = set() if only else self.attachments.keys() - {it.key for it in project.workloads}
        keys = self.attachments.keys() - going - {it.workload.key for it in wanted}
        return {key: self.attachments[key].wanted.ref for key in sorted(keys)}

    async def leave(self, only: tuple[str, ...], *, report: Report = silent) -> Json:
        """Hand back; agent, container and volumes stay for the next ``up``."""
        async with self._turn(report, self.site.timeout):
            keys = [key for key in sorted(self.attachments) if not only or key in only]
            rows = await self._together(*(self._holdings.detach(key, remove_agent=False) for key in keys))
            return {"workloads": rows, "notes": []}

    async def down(self, only: tuple[str, ...], *, volumes: bool, report: Report = silent) -> Json:
        """Hand back and take everything of ours away."""
        async with self._turn(report, self.site.timeout):
            keys = [key for key in sorted(self.attachments) if not only or key in only]
            rows = await self._together(*(self._holdings.detach(key, remove_agent=True) for key in keys))
            return {"workloads": rows, "notes": []}

    async def restart(self, key: str, *, report: Report = silent) -> Json:
        """Stop and start the local container; connections wait meanwhile."""
        async with self._turn(report, self.site.timeout):
            attachment = self.attachments.get(key)
            if attachment is None:
                raise ConfigurationError(f"{key} is not attached", hint=f"`devcluster up {key}` starts it")
            async with self._holdings.or_put_back(attachment.wanted, created=False):
                await attachment.restart()
            return {"workloads": [{"name": key, "outcome": "restarted", "detail": []}], "notes": []}

    @contextlib.asynccontextmanager
    async def _turn(self, report: Report, timeout: float) -> AsyncIterator[None]:
        async with self._lock:
            self.site.report, self.site.timeout = report, timeout
            self.used = True
            self.changes.notify()  # live from now on; a first `up` that fails ends the host process
            try:
                yield
            finally:
                self.site.report = silent
                asyncio.get_running_loop().call_soon(self.changes.notify)

    async def _together(self, *work: Coroutine[Any, Any, Json]) -> list[Json]:
        """All at once; if some fail the others go on to their end, then one error tells of all."""
        return rows_of(await self._settle(*work))

    async def _settle(self, *work: Coroutine[Any, Any, Json]) -> list[Json | BaseException]:
        return list(await asyncio.gather(*work, return_exceptions=True))

    async def read(self, project: Project, key: str, obtained: Obtained = NOTHING) -> Wanted:
        """The workload as the file and the cluster say now; *obtained*: what was pulled for it."""
        workload = next(item for item in project.workloads if item.key == key)
        site = self.site
        return await read_wanted(site.cluster, site.engine, project, workload, site.place.namespace, obtained)

    async def _apply_all(
        self, wanted: list[Wanted], *, takeover: bool, whole: bool
    ) -> list[Json | BaseException]:
        """All at once.  Broken off, where one fails with *whole*, or where this process is told to end
        meanwhile, what is done is put back, too."""
        before = frozenset(self.attachments)
        try:
            results = await self._settle(*(self._apply_one(item, takeover=takeover) for item in wanted))
        except asyncio.CancelledError:
            for item, error in await self._undo(wanted, before, "interrupted"):
                self._holdings.tell(item, error)
            raise
        both = zip(wanted, results, strict=True)
        failed = [item.workload.key for item, result in both if isinstance(result, BaseException)]
        if not self.ending and not (whole and failed):
            return half_way(results)
        undone = await self._undo(wanted, before, f"{', '.join(failed)} failed" if failed else "ending")
        errors = [result for result in results if isinstance(result, BaseException)]
        errors += [_just_ending()] if self.ending else []
        return half_way([*errors, *(_as_well(item, error) for item, error in undone)])

    async def _undo(
        self, wanted: list[Wanted], before: frozenset[str], why: str
    ) -> list[tuple[Wanted, DevclusterError]]:
        """Put back what is attached now and was not *before*; each with the error that came of it."""
        done = [it for it in wanted if it.workload.key in self.attachments.keys() - before]
        error = FailedError(why)
        put_back = (self._holdings.put_back(it, created=not it.install.adopted, error=error) for it in done)
        return list(zip(done, await asyncio.gather(*put_back), strict=True))

    async def _apply_one(self, wanted: Wanted, *, takeover: bool) -> Json:
        key = wanted.workload.key
        current = self.attachments.get(key)
        if (
            current is not None
            and current.wanted.ref == wanted.ref
            and wanted.install.adopted
            and current.condition.state not in ("failed", "held")
        ):
            repaired = wanted.install.astray
            await current.check(wanted)
            async with self._holdings.or_put_back(wanted, created=False) as attempt:
                if repaired:
                    await self._install(wanted, takeover=takeover, attempt=attempt)
                    await current.until_repaired()
                changed = await current.change(wanted) or repaired
            return self._row(current, "changed" if changed else "unchanged")
        attachment = await self._attach(wanted, current, takeover=takeover)
        return self._row(attachment, "changed" if current is not None else "created")

    async def _attach(self, wanted: Wanted, former: Attachment | None, *, takeover: bool) -> Attachment:
        """*former*: what stands there under the same key; it is handed back first."""
        created = not wanted.install.adopted
        async with self._holdings.or_put_back(wanted, created=created, begun=False) as attempt:
            if former is not None:
                if former.condition.state not in ("failed", "held"):
                    attempt.begin()
                    await former.hand_back()
                await self._holdings.end(former)
            takeover = takeover or await self._opening.is_abandoned(wanted)
            wanted, installed = await self._install(wanted, takeover=takeover, attempt=attempt)
            attachment = await self._open(wanted, installed, takeover=takeover)
            await attachment.attach()
        return attachment

    async def _install(self, wanted: Wanted, *, takeover: bool, attempt: Attempt) -> tuple[Wanted, Installed]:
        """Once more from the beginning where somebody installs the same at this very moment."""
        try:
            installed = await self._opening.install(wanted, takeover=takeover, begin=attempt.begin)
        except BusyError:
            wanted = await self.read(wanted.project, wanted.workload.key, wanted.images.obtained)
            installed = await self._opening.install(wanted, takeover=takeover, begin=attempt.begin)
        return wanted, installed

    async def _open(self, wanted: Wanted, installed: Installed, *, takeover: bool) -> Attachment:
        attachment = await self._opening.claim(wanted, installed, takeover=takeover)
        self._holdings.add(attachment)
        return attachment

    def _row(self, attachment: Attachment, outcome: str) -> Json:
        netns = attachment.local.network.netns
        ports = netns.ports if netns is not None else ()
        detail = [f"{attachment.wanted.title} is answered by {attachment.local.name}"]
        detail += [str(port) for port in ports]
        warnings = [asdict(caution) for caution in attachment.wanted.cautions]
        return {"name": attachment.key, "outcome": outcome, "detail": detail, "warnings": warnings}


def _just_ending() -> FailedError:
    return FailedError("the host process that was asked is just ending", hint="run the command again")


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

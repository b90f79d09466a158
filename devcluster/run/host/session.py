"""The host process: holds what `up` attached, until it is told to let go.

One at a time changes something (``up``, ``leave``, ``down``); anybody may ask for the state meanwhile.
The attachments run beside each other; one that fails does not take the others along.
"""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import AsyncIterator, Coroutine
from dataclasses import asdict
from typing import Any

from devcluster.config.model import Project
from devcluster.edge.background import ended
from devcluster.edge.kube.workload import WorkloadObject
from devcluster.errors import (
    ConfigurationError,
    DevclusterError,
    FailedError,
    HeldError,
    LeftoverError,
    RemainsError,
    first_of,
)
from devcluster.run.host.attachment import Attachment
from devcluster.run.host.changes import Changes
from devcluster.run.host.failing import Attempt, told
from devcluster.run.host.opening import Opening
from devcluster.run.host.results import rows_of
from devcluster.run.report import Progress, Report, silent
from devcluster.run.site import Site, gateway_binary
from devcluster.run.volume.folders import check_folders
from devcluster.run.volume.removing import remove_copies
from devcluster.run.workload.holding import own_holder
from devcluster.run.workload.install import BusyError, Installed
from devcluster.run.workload.journal import Journal
from devcluster.run.workload.permission import check_rights
from devcluster.run.workload.ports import check_ports
from devcluster.run.workload.record import Mark, find_dropped
from devcluster.run.workload.remove import remove
from devcluster.run.workload.wanted import Wanted, check_targets, read_wanted

Json = dict[str, Any]


class Session:
    """See the module.  Made by ``open_session``."""

    def __init__(self, site: Site, tasks: asyncio.TaskGroup, journal: Journal) -> None:
        self.site = site
        self.attachments: dict[str, Attachment] = {}
        self.changes = Changes()
        self.failures: dict[str, str] = {}
        self._holder = own_holder(site.place)
        self._journal = journal
        self._opening = Opening(site, journal, self._holder)
        self._tasks = tasks
        self._running: dict[str, asyncio.Task[None]] = {}
        self._lock = asyncio.Lock()
        self._prepared = False
        self.used = False  # whether anything was ever asked for
        self.ending = False  # what it holds is being handed back for good
        site.changed = self.changes.notify
        site.failed = self._failed

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
                raise FailedError(
                    "the host process that was asked is just ending", hint="run the command again"
                )
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
            gone = [] if only else sorted(self.attachments.keys() - {it.key for it in project.workloads})
            dropped = [] if only else await self._find_dropped(project)
            results = await self._settle(
                *(self._detach(key, remove_agent=True) for key in gone),
                *(self._drop(mark) for mark in dropped),
            )
            if dropped:
                await self._sweep(project)
            if results:  # a workload under another name, or a port of theirs, may be wanted anew
                wanted = [await self.read(project, workload.key) for workload in chosen]
            results += await self._apply_all(wanted, takeover=takeover, whole=whole)
            return {"workloads": rows_of(results), "notes": []}

    def _others(self, project: Project, wanted: list[Wanted], only: tuple[str, ...]) -> dict[str, str]:
        """What stays attached beside *wanted*; without names what was taken out of the file goes first."""
        going = set() if only else self.attachments.keys() - {it.key for it in project.workloads}
        keys = self.attachments.keys() - going - {it.workload.key for it in wanted}
        return {key: self.attachments[key].wanted.title for key in sorted(keys)}

    async def leave(self, only: tuple[str, ...], *, report: Report = silent) -> Json:
        """Hand back; agent, container and volumes stay for the next ``up``."""
        async with self._turn(report, self.site.timeout):
            keys = [key for key in sorted(self.attachments) if not only or key in only]
            rows = await self._together(*(self._detach(key, remove_agent=False) for key in keys))
            return {"workloads": rows, "notes": []}

    async def down(self, only: tuple[str, ...], *, volumes: bool, report: Report = silent) -> Json:
        """Hand back and take everything of ours away."""
        async with self._turn(report, self.site.timeout):
            keys = [key for key in sorted(self.attachments) if not only or key in only]
            rows = await self._together(*(self._detach(key, remove_agent=True) for key in keys))
            return {"workloads": rows, "notes": []}

    async def restart(self, key: str, *, report: Report = silent) -> Json:
        """Stop and start the local container; connections wait meanwhile."""
        async with self._turn(report, self.site.timeout):
            attachment = self.attachments.get(key)
            if attachment is None:
                raise ConfigurationError(f"{key} is not attached", hint=f"`devcluster up {key}` starts it")
            async with self._or_put_back(attachment.wanted, created=False):
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

    async def read(self, project: Project, key: str) -> Wanted:
        """The workload as the file and the cluster say now."""
        workload = next(item for item in project.workloads if item.key == key)
        if not self._prepared:
            facts = await self.site.engine.describe()
            await self.site.engine.ensure_gateway_image(gateway_binary(facts.architecture))
            self._prepared = True
        place = self.site.place
        return await read_wanted(self.site.cluster, self.site.engine, project, workload, place.namespace)

    async def _apply_all(
        self, wanted: list[Wanted], *, takeover: bool, whole: bool
    ) -> list[Json | BaseException]:
        """All at once.  Broken off, or where one fails with *whole*, what is done is put back, too."""
        before = frozenset(self.attachments)
        try:
            results = await self._settle(*(self._apply_one(item, takeover=takeover) for item in wanted))
        except asyncio.CancelledError:
            for item, error in await self._undo(wanted, before, "interrupted"):
                self._tell(item, error)
            raise
        both = zip(wanted, results, strict=True)
        failed = [item.workload.key for item, result in both if isinstance(result, BaseException)]
        if not whole or not failed:
            return results
        undone = await self._undo(wanted, before, f"{', '.join(failed)} failed")
        errors = [result for result in results if isinstance(result, BaseException)]
        return [*errors, *(_as_well(item, error) for item, error in undone)]

    async def _undo(
        self, wanted: list[Wanted], before: frozenset[str], why: str
    ) -> list[tuple[Wanted, DevclusterError]]:
        """Put back what is attached now and was not *before*; each with the error that came of it."""
        done = [it for it in wanted if it.workload.key in self.attachments.keys() - before]
        error = FailedError(why)
        put_back = (self._put_back(it, created=not it.install.adopted, error=error) for it in done)
        return list(zip(done, await asyncio.gather(*put_back), strict=True))

    async def _apply_one(self, wanted: Wanted, *, takeover: bool) -> Json:
        key = wanted.workload.key
        current = self.attachments.get(key)
        if (
            current is not None
            and wanted.install.adopted
            and current.condition.state not in ("failed", "held")
        ):
            repaired = wanted.install.astray
            await current.check(wanted)
            async with self._or_put_back(wanted, created=False) as attempt:
                if repaired:
                    await self._install(wanted, takeover=takeover, attempt=attempt)
                    await current.until_repaired()
                changed = await current.change(wanted) or repaired
            return self._row(current, "changed" if changed else "unchanged")
        if current is not None:
            await self._end(current)
        created = not wanted.install.adopted
        attachment = await self._attach(wanted, takeover=takeover, created=created)
        return self._row(attachment, "changed" if current is not None else "created")

    async def _attach(self, wanted: Wanted, *, takeover: bool, created: bool) -> Attachment:
        async with self._or_put_back(wanted, created=created, begun=False) as attempt:
            takeover = takeover or await self._opening.is_abandoned(wanted)
            wanted, installed = await self._install(wanted, takeover=takeover, attempt=attempt)
            attachment = await self._open(wanted, installed, takeover=takeover)
            await attachment.attach()
        return attachment

    @contextlib.asynccontextmanager
    async def _or_put_back(
        self, wanted: Wanted, *, created: bool, begun: bool = True
    ) -> AsyncIterator[Attempt]:
        """Whatever fails in here once the attempt has *begun*, or is broken off, is put back.  *created*: the
        agent too."""
        attempt = Attempt(begun)
        try:
            yield attempt
        except (asyncio.CancelledError, Exception) as broken:
            cause = first_of(broken)
            if isinstance(cause, DevclusterError):
                if not attempt.begun:
                    raise cause from broken.__cause__
                raise await self._put_back(wanted, created=created, error=cause) from broken
            known = isinstance(cause, asyncio.CancelledError)
            why = "interrupted" if known else f"a bug: {type(cause).__name__}"  # its text may hold a value
            self._tell(wanted, await self._put_back(wanted, created=created, error=FailedError(why)))
            raise

    def _tell(self, wanted: Wanted, error: DevclusterError) -> None:
        """What could not be put back, where nothing else says it."""
        if isinstance(error, LeftoverError):
            self.site.report(Progress(wanted.workload.key, f"{error.message}: {error.hint}"))

    async def _install(self, wanted: Wanted, *, takeover: bool, attempt: Attempt) -> tuple[Wanted, Installed]:
        """Once more from the beginning where somebody installs the same at this very moment."""
        try:
            installed = await self._opening.install(wanted, takeover=takeover, begin=attempt.begin)
        except BusyError:
            wanted = await self.read(wanted.project, wanted.workload.key)
            installed = await self._opening.install(wanted, takeover=takeover, begin=attempt.begin)
        return wanted, installed

    async def _open(self, wanted: Wanted, installed: Installed, *, takeover: bool) -> Attachment:
        attachment = await self._opening.claim(wanted, installed, takeover=takeover)
        key = wanted.workload.key
        self.attachments[key] = attachment
        self.failures.pop(key, None)
        self._running[key] = self._tasks.create_task(self._live(attachment), name=f"attachment {key}")
        return attachment

    async def _live(self, attachment: Attachment) -> None:
        """An attachment that breaks (the engine is gone, say) hands back; the others go on."""
        try:
            await attachment.run()
        except (DevclusterError, ExceptionGroup) as error:
            cause = first_of(error)
            reason = str(cause) if isinstance(cause, DevclusterError) else f"a bug: {cause!r}"
            with contextlib.suppress(DevclusterError):
                await attachment.hand_back(failure=reason)
            self._failed(attachment.key, reason)
            if not isinstance(cause, DevclusterError):
                traceback.print_exception(error)

    async def _put_back(self, wanted: Wanted, *, created: bool, error: DevclusterError) -> DevclusterError:
        """After a failure: as it was before.  The error to raise: LeftoverError where it is not."""
        attachment = self.attachments.get(wanted.workload.key)
        conflict = isinstance(error, HeldError | BusyError)  # what stands there is theirs
        self.site.report(Progress(wanted.workload.key, f"putting back: {error}"))
        try:
            if attachment is not None:
                await attachment.hand_back(failure=str(error))
                await self._end(attachment, remove_containers=created)
            try:
                if created and not conflict:
                    await self._remove_agent(wanted.object)
            finally:
                if created:
                    await self._remove_copies(wanted.workload.key)
        except Exception as second:
            if isinstance(error, LeftoverError) and isinstance(second, RemainsError):
                return error  # it was tried before, and says what stays
            why = str(second) if isinstance(second, DevclusterError) else f"a bug: {type(second).__name__}"
            return LeftoverError(
                f"{error}; putting {wanted.title} back failed too: {why}",
                hint=f"`devcluster down -n {self.site.place.namespace}` finishes it",
            )
        return told(error, f"{wanted.title} was put back")

    async def _remove_copies(self, key: str) -> None:
        for note in await remove_copies(self.site.engine, self.site.place, (key,)):
            self.site.report(Progress(key, note))

    async def _detach(self, key: str, *, remove_agent: bool) -> Json:
        attachment = self.attachments[key]
        wanted = attachment.wanted
        notes: list[str] = []
        remains: RemainsError | None = None
        if attachment.condition.taken:
            await attachment.local.stop()
            notes.append(attachment.condition.taken)
        elif remove_agent:
            await attachment.yield_first()
            try:
                notes += await self._remove_agent(wanted.object)
            except RemainsError as error:  # no pod has an agent any more
                remains = error
            await attachment.until_pods_end()
            await attachment.local.stop()
        else:
            await attachment.hand_back()
        await self._end(attachment, remove_containers=remove_agent)
        if remains is not None:
            raise remains
        return {
            "name": key,
            "outcome": "put back" if remove_agent and not attachment.condition.taken else "left",
            "detail": [wanted.title, *notes],
        }

    async def _find_dropped(self, project: Project) -> list[Mark]:
        """What was ours, is not attached at the moment and has been taken out of the file."""
        attached = {it.wanted.object.name for it in self.attachments.values()}
        return await find_dropped(
            self.site.cluster, self.site.place.namespace, project, self._holder, attached
        )

    async def _sweep(self, project: Project) -> None:
        """Containers of what is neither in the file nor attached."""
        engine, place = self.site.engine, self.site.place
        keys = {item.key for item in await engine.list_project(place.id)}
        keys -= {it.key for it in project.workloads} | self.attachments.keys()
        await engine.remove_project(place.id, sorted(keys), volumes=False)

    async def _drop(self, mark: Mark) -> Json:
        notes = await self._remove_agent(mark)
        return {"name": mark.name, "outcome": "put back", "detail": [f"{mark.kind}/{mark.name}", *notes]}

    async def _remove_agent(self, wanted: WorkloadObject | Mark) -> list[str]:
        place = self.site.place
        removed = await remove(
            self.site.cluster,
            place.namespace,
            wanted.kind,
            wanted.name,
            journal=self._journal,
            report=self.site.report,
            timeout=self.site.timeout,
        )
        return [f"left as it is, changed by somebody else: {what}" for what in removed.kept]

    async def _end(self, attachment: Attachment, *, remove_containers: bool = False) -> None:
        key = attachment.key
        self.attachments.pop(key, None)
        task = self._running.pop(key, None)
        if task is not None:
            task.cancel()
            await ended(task)  # a cancellation of ours must not look like its own
        if remove_containers:
            left = await self.site.engine.remove_project(self.site.place.id, (key,), volumes=False)
            if left:
                raise LeftoverError(
                    f"left over in Docker: {', '.join(left)}", hint="`devcluster down` tries again"
                )

    def _failed(self, key: str, reason: str) -> None:
        self.failures[key] = reason
        self.changes.notify()

    def _row(self, attachment: Attachment, outcome: str) -> Json:
        netns = attachment.local.network.netns
        ports = netns.ports if netns is not None else ()
        detail = [f"{attachment.wanted.title} is answered by {attachment.local.name}"]
        detail += [f"{address}:{host} -> {port}" for port, address, host in ports]
        warnings = [asdict(caution) for caution in attachment.wanted.cautions]
        return {"name": attachment.key, "outcome": outcome, "detail": detail, "warnings": warnings}


def _as_well(wanted: Wanted, error: DevclusterError) -> DevclusterError:
    left = isinstance(error, LeftoverError)
    return error if left else FailedError(f"{wanted.title} was put back, too")


@contextlib.asynccontextmanager
async def open_session(site: Site) -> AsyncIterator[Session]:
    """A session whose attachments live until the block ends."""
    with Journal.open(site.place.state / "journal.jsonl") as journal:
        async with asyncio.TaskGroup() as tasks:
            session = Session(site, tasks, journal)
            try:
                yield session
            finally:
                for task in session._running.values():
                    task.cancel()

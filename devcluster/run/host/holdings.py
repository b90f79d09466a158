"""What a session holds: attachments that run by themselves, and every way to let go of one.

There are three ways: handed back (agent, container and volumes stay), taken out (everything goes), and put
back after a failure, which is one of the two, depending on what this attempt made.  If letting go fails,
something is left over, and the error says what.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

from devcluster.config.model import Project
from devcluster.edge.background import ended
from devcluster.edge.docker.engine import Engine
from devcluster.errors import (
    DevclusterError,
    FailedError,
    HeldError,
    LeftoverError,
    RemainsError,
    UnservedError,
    first_of,
    joined,
)
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.marks import Holder
from devcluster.run.attach.attachment import Attachment
from devcluster.run.cluster.install import BusyError
from devcluster.run.cluster.record import Mark, find_dropped
from devcluster.run.cluster.remove import remove
from devcluster.run.host.failure import Attempt, put_back_error
from devcluster.run.host.results import end_row
from devcluster.run.log import to_log
from devcluster.run.site import Site
from devcluster.run.turn import Turn
from devcluster.run.volume.removing import remove_copies
from devcluster.run.wanted.wanted import Wanted

Json = dict[str, Any]
_OWN = 300.0  # seconds for handing back what broke
_log = logging.getLogger("devcluster.host")


def _unsent(title: str, lines: tuple[str, ...], other: RemainsError | None) -> RemainsError:
    """What live volumes could not bring over, and *other*."""
    error = RemainsError(
        f"{title} is handed back, but not everything that was written here is in the pod: {'; '.join(lines)}",
        hint="the copy on this laptop stays, and `devcluster up` goes on with it; "
        "`devcluster sync WORKLOAD --keep laptop|pod PATH…` decides then",
    )
    if other is None:
        return error
    both = joined([error, other])
    assert isinstance(both, RemainsError)
    return both


class Holdings:
    """Those of one session.  ``attachments``: by the workload's key; ``ending``: all of them are handed back
    for good, and none is added any more."""

    def __init__(self, site: Site, tasks: asyncio.TaskGroup) -> None:
        self.attachments: dict[str, Attachment] = {}
        self.ending = False
        self._site = site
        self._tasks = tasks
        self._running: dict[str, asyncio.Task[None]] = {}

    def add(self, attachment: Attachment) -> None:
        """Let it run, until ``end``."""
        key = attachment.key
        self.attachments[key] = attachment
        self._running[key] = self._tasks.create_task(self._live(attachment), name=f"attachment {key}")

    def close(self) -> None:
        """End all of them; nothing is handed back."""
        for task in self._running.values():
            task.cancel()

    async def _live(self, attachment: Attachment) -> None:
        """An attachment that breaks (the engine is gone, say) hands back; the others go on."""
        try:
            await attachment.run()
        except (DevclusterError, ExceptionGroup) as error:
            cause = first_of(error)
            known = isinstance(cause, DevclusterError)
            reason = str(cause) if known else f"a bug: {type(cause).__name__}"
            _log.error("%s: %s", attachment.key, reason, exc_info=None if known else error)
            with contextlib.suppress(DevclusterError):
                await attachment.hand_back(Turn.of(_OWN, to_log), failure=reason)

    async def detach(self, key: str, turn: Turn, *, remove_agent: bool, tolerant: bool = False) -> Json:
        """Let go of one: hand it back, or with *remove_agent* leave no trace of it.  Return its row; with
        *tolerant* the row tells what remains, otherwise RemainsError does."""
        attachment = self.attachments[key]
        turn = turn.stretched(attachment.wanted.patience)
        title, taken = attachment.wanted.title, attachment.taken
        notes: list[str] = [taken] if taken else []
        remains: RemainsError | None = None
        unserved = ""
        if taken:
            await attachment.give_up(turn)
        elif remove_agent:
            await attachment.yield_first(turn)
            try:
                removed, unserved = await self._remove_agent(attachment.wanted.ref, turn, key)
                notes += removed
            except RemainsError as error:  # no pod has an agent any more
                remains = error
            await attachment.end_removed(turn)
        else:
            handed = await attachment.hand_back(turn)
            unserved = handed.unserved
            notes += handed.notes
        await self.end(attachment)
        if remove_agent:
            await self._remove_containers(key)
        if attachment.unsent:
            remains = _unsent(title, attachment.unsent, remains)
        if remains is not None:
            if not tolerant:
                raise remains
            notes.append(str(remains))
        if unserved and not tolerant:
            raise UnservedError(f"{title} was handed back, but does not serve: {unserved}")
        notes += [f"it does not serve: {unserved}"] if unserved else []
        return end_row(key, title, notes, removed=remove_agent and not taken)

    async def drop(self, mark: Mark, turn: Turn) -> Json:
        """Like ``detach``, for what nobody holds.  Return its row, which tells what remains."""
        try:
            notes, unserved = await self._remove_agent(mark.ref, turn)
            notes += [f"it does not serve: {unserved}"] if unserved else []
        except RemainsError as error:  # nothing serves by it; whoever wants the others must not lose them
            notes = [str(error)]
        return end_row(mark.ref.name, str(mark.ref), notes)

    async def find_dropped(self, project: Project, holder: Holder) -> tuple[Mark, ...]:
        """What was ours, is not attached at the moment, and has been taken out of the file."""
        attached = {it.wanted.ref for it in self.attachments.values()}
        return await find_dropped(self._site.cluster, self._site.place.namespace, project, holder, attached)

    async def sweep(self, project: Project) -> None:
        """Remove the containers of what is neither in the file nor attached."""
        if (engine := await self._engine()) is None:
            return
        place = self._site.place
        keys = {item.key for item in await engine.list_project(place.id)}
        keys -= {it.key for it in project.workloads} | self.attachments.keys()
        await engine.remove_project(place.id, sorted(keys), volumes=False)

    @contextlib.asynccontextmanager
    async def or_put_back(
        self, wanted: Wanted, turn: Turn, *, created: bool, begun: bool = True
    ) -> AsyncIterator[Attempt]:
        """Whatever fails or is interrupted in the block, once the attempt has *begun*, is put back.
        *created*: the agent too."""
        attempt = Attempt(begun)
        try:
            yield attempt
        except (asyncio.CancelledError, Exception) as broken:
            cause = first_of(broken)
            if isinstance(cause, DevclusterError):
                if not attempt.begun:
                    raise cause from broken.__cause__
                raise await self.put_back(wanted, turn, created=created, error=cause) from broken
            known = isinstance(cause, asyncio.CancelledError)
            why = "interrupted" if known else f"a bug: {type(cause).__name__}"  # its text may hold a value
            cause = FailedError(why)
            error = await self.put_back(wanted, turn, created=created, error=cause, why=why)
            self.tell(wanted, error, turn)
            raise

    async def put_back(
        self, wanted: Wanted, turn: Turn, *, created: bool, error: DevclusterError, why: str = ""
    ) -> DevclusterError:
        """After a failure: as it was before.  The error to raise: LeftoverError where it is not.  *why*: said
        at once, where nobody will print the error."""
        turn = turn.to_undo()
        unserved = ""
        attachment = self.attachments.get(wanted.workload.key)
        conflict = isinstance(error, HeldError | BusyError)  # what is there is theirs
        turn.say(wanted.workload.key, f"putting {wanted.title} back{f': {why}' if why else ''}")
        try:
            if attachment is not None:
                unserved = (await attachment.hand_back(turn, failure=str(error))).unserved
                await self.end(attachment)
            if created:  # also what a former attachment left: it was handed back for this one
                await self._remove_containers(wanted.workload.key)
            try:
                if created and not conflict:
                    _, unserved = await self._remove_agent(wanted.ref, turn, wanted.workload.key)
            finally:
                if created:
                    await self._remove_copies(wanted.workload.key, turn)
        except Exception as second:
            if isinstance(error, LeftoverError) and isinstance(second, RemainsError):
                return error  # it was tried before, and says what stays
            known = isinstance(second, DevclusterError)
            because = str(second) if known else f"a bug: {type(second).__name__}"
            return LeftoverError(
                f"{error}; putting {wanted.title} back failed too: {because}",
                hint=f"`devcluster down -n {self._site.place.namespace}` finishes it",
            )
        but = f", but does not serve: {unserved}" if unserved else ""
        return put_back_error(error, f"{wanted.title} was put back{but}")

    def tell(self, wanted: Wanted, error: DevclusterError, turn: Turn) -> None:
        """Say what could not be put back, where nothing else says it."""
        if isinstance(error, LeftoverError):
            turn.say(wanted.workload.key, f"{error.message}: {error.hint}")

    async def end(self, attachment: Attachment) -> None:
        """After it was handed back: nothing of it runs any more.  Its containers are stopped and stay."""
        key = attachment.key
        self.attachments.pop(key, None)
        task = self._running.pop(key, None)
        if task is not None:
            task.cancel()
            await ended(task)  # a cancellation of ours must not look like its own

    async def _remove_containers(self, key: str) -> None:
        if (engine := await self._engine()) is None:
            return
        if left := await engine.remove_project(self._site.place.id, (key,), volumes=False):
            raise LeftoverError(
                f"left over in Docker: {', '.join(left)}", hint="`devcluster down` tries again"
            )

    async def _remove_agent(self, ref: WorkloadRef, turn: Turn, key: str = "") -> tuple[list[str], str]:
        """What is to be said of it, and why the original does not serve, or ''."""
        removed = await remove(self._site.cluster, ref, turn, key)
        return removed.notes, removed.unserved

    async def _remove_copies(self, key: str, turn: Turn) -> None:
        if (engine := await self._engine()) is not None:
            for note in await remove_copies(engine, self._site.place, (key,)):
                turn.say(key, note.text)

    async def _engine(self) -> Engine | None:
        """The engine, if anything of the project may be there; None where it never used one."""
        docker = self._site.docker
        return await docker.open() if self._site.place.uses_docker else await docker.find()

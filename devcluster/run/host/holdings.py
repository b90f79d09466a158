"""What a session holds: attachments that run by themselves, and every way to let go of one.

``plan.let_go`` says what goes with each; here it is done.  If that fails, something is left over, and the
error says what (``failure``).
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
    LeftoverError,
    RemainsError,
    first_of,
)
from devcluster.plan.let_go import plan_detach, plan_put_back
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.marks import Holder
from devcluster.run.attach.attachment import Attachment
from devcluster.run.cluster.record import Mark, find_dropped
from devcluster.run.cluster.remove import remove
from devcluster.run.host.failure import (
    Attempt,
    end_notes,
    failure_of,
    is_theirs,
    left_error,
    put_back_error,
    remains_of,
)
from devcluster.run.host.results import end_row
from devcluster.run.log import to_log
from devcluster.run.site import Site
from devcluster.run.turn import Turn
from devcluster.run.volume.removing import remove_copies
from devcluster.run.wanted.wanted import Wanted

Json = dict[str, Any]
_OWN = 300.0  # seconds for handing back what broke
_log = logging.getLogger("devcluster.host")


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
        plan = plan_detach(taken=bool(taken), remove_agent=remove_agent)
        notes: list[str] = [taken] if taken else []
        remains: RemainsError | None = None
        unserved = ""
        match plan.end:
            case "give up":
                await attachment.give_up(turn)
            case "take out":
                await attachment.yield_first(turn)
                try:
                    removed, unserved = await self._remove_agent(attachment.wanted.ref, turn, key)
                    notes += removed
                except RemainsError as error:  # no pod has an agent any more
                    remains = error
                await attachment.end_removed(turn)
            case "hand back":
                handed = await attachment.hand_back(turn)
                unserved = handed.unserved
                notes += handed.notes
        await self.end(attachment)
        if plan.containers:
            await self._remove_containers(key)
        remains = remains_of(title, attachment.unsent, remains)
        notes += end_notes(title, remains, unserved, tolerant=tolerant)
        return end_row(key, title, notes, removed=plan.agent)

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
            failure = failure_of(broken)
            if not attempt.begun and failure.expected:
                raise failure.error from broken.__cause__
            why = "" if failure.expected else str(failure.error)
            error = await self.put_back(wanted, turn, created=created, error=failure.error, why=why)
            if failure.expected:
                raise error from broken
            self.tell(wanted, error, turn)
            raise

    async def put_back(
        self, wanted: Wanted, turn: Turn, *, created: bool, error: DevclusterError, why: str = ""
    ) -> DevclusterError:
        """After a failure: as it was before.  The error to raise: LeftoverError where it is not.  *why*: said
        at once, where nobody will print the error."""
        turn = turn.to_undo()
        key, title = wanted.workload.key, wanted.title
        attachment = self.attachments.get(key)
        plan = plan_put_back(attached=attachment is not None, created=created, theirs=is_theirs(error))
        if attachment is not None or plan.agent or why:
            turn.say(key, f"putting {title} back{f': {why}' if why else ''}")
        unserved = ""
        try:
            if attachment is not None:
                unserved = (await attachment.hand_back(turn, failure=str(error))).unserved
                await self.end(attachment)
            if plan.containers:  # also what a former attachment left: it was handed back for this one
                await self._remove_containers(key)
            try:
                if plan.agent:
                    _, unserved = await self._remove_agent(wanted.ref, turn, key)
            finally:
                if plan.copies:
                    await self._remove_copies(key, turn)
        except Exception as second:
            return left_error(error, second, title, self._site.place.namespace)
        but = f", but does not serve: {unserved}" if unserved else ""
        return put_back_error(error, f"{title} was put back{but}")

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

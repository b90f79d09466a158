"""One workload, from holding it to the hand-back.

An attachment joins two sides (``sides``): the pods' agents and what serves on the laptop.  The handover
(``plan.handover``) says what is done in which order, the executor does it, and the snapshot (``rules.state``)
says what is true.  Here is what a command asks of it, and the one loop that does something unasked: pods come
and go, and each gets a link of its own; somebody else takes the workload (``loss``); the local container
ends, or the Docker engine goes away and comes back (``recovery``).

One function of the snapshot decides what must be done then; it is asked after each change.  The naive way, a
callback for each thing that may happen, ends in states that nobody has thought of.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, assert_never

from devcluster.edge.background import running, together
from devcluster.edge.kube.answer import ForbiddenError
from devcluster.errors import DevclusterError, EngineError, FailedError
from devcluster.plan.handover import Flush, Phase
from devcluster.rules.advice.controllers import render_pause
from devcluster.rules.container.environment import LocalEnvironment
from devcluster.rules.state import (
    GiveUp,
    HandBack,
    Reaction,
    Recover,
    Snapshot,
    StartAgain,
    Truth,
    react,
    render_gone,
    render_repair,
)
from devcluster.run.attach.agent_link import Tenure
from devcluster.run.attach.executor import Executor
from devcluster.run.attach.freshness import keep_fresh
from devcluster.run.attach.links import Links
from devcluster.run.attach.loss import Loss
from devcluster.run.attach.primary import Primary
from devcluster.run.attach.recovery import Recovery
from devcluster.run.attach.sides import ClusterSide, LocalSide
from devcluster.run.attach.snapshot import Known
from devcluster.run.changes import Changes
from devcluster.run.log import to_log
from devcluster.run.turn import Turn
from devcluster.run.wanted.wanted import Wanted

_LINGER = 32.0  # seconds for the pods' last connections: a common grace period and some
_REPAIRED = 10.0  # seconds until what `up` wrote again is seen
_OWN = 300.0  # seconds for what an attachment does by itself
_log = logging.getLogger("devcluster.host")


@dataclass(frozen=True, slots=True)
class HandedBack:
    """``unserved``: why the original does not serve (yet), '' where it does; ``notes``: what was done for
    that."""

    unserved: str = ""
    notes: tuple[str, ...] = ()


class Attachment:
    """See the module.  ``run`` lasts as long as the attachment; the session owns its task."""

    def __init__(
        self,
        wanted: Wanted,
        tenure: Tenure,
        cluster: ClusterSide,
        local: LocalSide,
        changes: Changes,
    ) -> None:
        self.tenure = tenure
        self.local = local
        self.changes = changes
        self.links = Links(tenure, cluster, local, changes)
        self.handover = wanted.handover  # by which it is given back, whatever the file says by then
        self._cluster = cluster
        self._loss = Loss(self.links, cluster, changes)
        self._executor = Executor(wanted, self.links, cluster, local, self._loss, changes)
        self._primary = Primary(wanted.workload.key, self._loss, self.links, cluster, local, changes)
        self._known = Known(self._executor, self.links, local, self._loss, changes)
        self._recovery = Recovery(
            self._known, self.handover, tenure.lease, self._executor, self.links, local, changes
        )

    @property
    def wanted(self) -> Wanted:
        """What it serves as."""
        return self._executor.wanted

    @property
    def key(self) -> str:
        return self.wanted.workload.key

    @property
    def ways_kind(self) -> str:
        """How its agents are reached."""
        return self._cluster.ways.kind

    @property
    def taken(self) -> str:
        """Who has it now, and since when; '' while it is ours."""
        return self._loss.reason

    @property
    def unsent(self) -> tuple[str, ...]:
        """What of the live volumes could not be brought over when it was handed back, in words."""
        return self._executor.unsent

    @property
    def snapshot(self) -> Snapshot:
        """All that is known at this moment."""
        return self._known.snapshot

    @property
    def truth(self) -> Truth:
        """State, reason and since when."""
        return self._known.truth

    async def run(self) -> None:
        """Follow the pods and hold each of them, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._supervise(), name=f"supervise {self.key}")
            fresh = keep_fresh(self.links, self.local, self.changes, self._known)
            tasks.create_task(fresh, name=f"fresh {self.key}")
            tasks.create_task(self._primary.keep(), name=f"primary {self.key}")
            tasks.create_task(self._primary.keep_live(), name=f"live volumes {self.key}")
            tasks.create_task(self._follow_drift(), name=f"drift {self.key}")
            tasks.create_task(self.local.run(), name=f"local {self.key}")
            async with contextlib.aclosing(self._cluster.watch_pods()) as states:
                async for pods in states:
                    self.links.follow(pods, tasks)

    async def attach(self, turn: Turn) -> None:
        """From held agents to a laptop that serves.

        Raises FailedError and the edge's errors; the caller hands back.
        """
        async with self._loss.translated():
            await together(self._attach(turn), self._watch_end(), name=f"attach {self.key}")

    async def _attach(self, turn: Turn) -> None:
        await self._executor.agent(turn)
        ways = self._cluster.ways
        if ways.kind != "proxy":
            turn.say(
                self.key, f"connecting by {ways.kind}, which is slower than the pod proxy: {ways.reason}"
            )
        await self._perform(self.handover.there, turn)
        seen = self.wanted.install.observed
        await self._cluster.check_beside(seen.container, self.wanted.install.ports, seen.weak)
        self._known.enter("attached")

    async def _watch_end(self) -> None:
        """Fail once nothing can become ready any more: a part of the attachment broke and it was handed back,
        or the template was reverted and no pod gets an agent."""
        await self.changes.until(lambda: self._known.stage != "starting" or bool(render_gone(self.snapshot)))
        match self._known.stage:
            case "failed":
                raise FailedError(self._known.failure)
            case "starting":
                hint = render_pause(self.wanted.object.object)
                raise FailedError(render_gone(self.snapshot), hint=hint)

    async def check(self, wanted: Wanted) -> None:
        """ConfigurationError where the volumes of an edit can't be had; what is running goes on serving."""
        if (home := self.links.of_home) is not None:
            async with self._loss.translated():
                await self.local.check(wanted, await home.link())

    def is_taken_as(self, wanted: Wanted) -> bool:
        """Whether *wanted* is this very workload, taken in the same way."""
        return wanted.ref == self.wanted.ref and wanted.handover == self.handover

    async def differs(self, wanted: Wanted, turn: Turn) -> bool:
        """Whether ``change`` would do anything."""
        async with self._loss.translated():
            return self.local.differs(wanted, await self._executor.read_facts(turn))

    async def environment(self, turn: Turn) -> LocalEnvironment:
        """What the application has, as the pod says now."""
        async with self._loss.translated():
            return self.local.environment(await self._executor.read_facts(turn))

    def note(self, wanted: Wanted) -> None:
        """Services are led otherwise, and nothing else changes."""
        self._executor.wanted = wanted

    async def change(self, wanted: Wanted, turn: Turn) -> None:
        """Apply an edit that needs no new pods."""
        async with self._loss.translated():
            self._known.resting = ""
            self._known.enter("starting")
            self._executor.wanted = wanted
            await self._perform(self.handover.edit, turn)
            self._known.enter("attached")

    async def restart(self, turn: Turn) -> None:
        """Stop and start the local side; connections wait in the agents meanwhile."""
        async with self._loss.translated():
            await self.until_engine(turn)
            self._known.resting = ""
            self._known.enter("starting")
            await self._perform(self.handover.restart, turn)
            self._known.enter("attached")

    async def hand_back(self, turn: Turn, *, failure: str = "") -> HandedBack:
        """Give the traffic back to the original and stop the local side."""
        if not failure:
            await self._until_ended(turn)
        self._known.failure = failure
        self._known.leave()
        self.links.disengage()
        back = self.handover.back
        if failure and isinstance(back[0], Flush):
            back = back[1:]  # the traffic first
        try:
            await self._perform(back, turn, tolerant=True)
            self.links.close()
            await self._relinquish(turn)
        finally:
            await self.local.live.end()
            unserved = "; ".join(self._executor.unserved)
            if failure:
                self._known.failure = (
                    f"{failure}; the original does not serve: {unserved}" if unserved else failure
                )
                self._known.enter("failed")
        self._known.enter("failed" if failure else "left")
        return HandedBack(unserved, tuple(self._executor.notes))

    async def yield_first(self, turn: Turn) -> None:
        """Before the template is restored, stop what must never run twice."""
        if self.handover.before_removal:
            await self._until_ended(turn)
        self._known.removing = True
        self._known.leave()
        if self.handover.before_removal:
            self.links.disengage()
        await self._perform(self.handover.before_removal, turn, tolerant=True)

    async def _until_ended(self, turn: Turn) -> None:
        """Connections still come to a pod that was just scaled away, and only the laptop answers them."""
        ending = self.links.ending
        for link in ending:
            turn.say(self.key, f"waiting until pod {link.pod.name} has ended: the laptop answers for it")
        with contextlib.suppress(TimeoutError):
            async with turn.deadline.part(_LINGER).bound():
                await self.changes.until(lambda: not set(ending) & set(self.links.ending))

    async def end_removed(self, turn: Turn) -> None:
        """After the template was restored.  Ending agents are served by us until nobody is sent to them any
        more; that is bounded, since a connection may stay open for ever."""
        with contextlib.suppress(TimeoutError):
            async with turn.deadline.part(_LINGER).bound():
                await self.changes.until(lambda: not self.links)
        await self._perform(self.handover.after_removal, turn, tolerant=True)
        await self.local.live.end()

    async def give_up(self, turn: Turn) -> None:
        """Somebody else has it: tell their agents nothing, and change none of their files."""
        await self.local.live.end()
        await self._perform(self.handover.loss, turn, tolerant=True)

    async def until_engine(self, turn: Turn) -> None:
        """Wait for the end of an outage; EngineError where it does not end in time."""
        try:
            async with turn.deadline.bound():
                await self.changes.until(lambda: not self.local.sight.outage)
        except TimeoutError as error:
            raise EngineError(self.local.sight.outage) from error

    async def until_repaired(self, turn: Turn) -> None:
        """After `up` wrote it again: wait until that is seen."""
        with contextlib.suppress(TimeoutError):
            async with turn.deadline.part(_REPAIRED).bound():
                await self.changes.until(lambda: not render_repair(self.snapshot))

    async def _perform(self, phases: tuple[Phase, ...], turn: Turn, *, tolerant: bool = False) -> None:
        await self._executor.perform(phases, turn, tolerant=tolerant)

    async def _relinquish(self, turn: Turn) -> None:
        try:
            await self._cluster.relinquish()
        except DevclusterError as error:
            if not self._known.failure and not isinstance(error, ForbiddenError):
                raise
            text = (
                f"this laptop's name could not be cleared in the cluster ({error})."
                f" New pods wait up to {self.tenure.lease:.0f} s before they start the original"
            )
            turn.say(self.key, text)

    def _next(self) -> Reaction | None:
        """What is to be done without being asked.  It also notes what is true, which keeps ``since``."""
        return react(self.snapshot) if self.truth else None

    async def _supervise(self) -> None:
        """Do what ``react`` says, as soon as it says it."""
        while True:
            await self.changes.until(lambda: self._next() is not None)
            reaction = self._next()
            assert reaction is not None
            _log.warning("%s: %s", self.key, reaction.reason)
            match reaction:
                case GiveUp(reason):
                    await self._react_to_loss(reason)
                case HandBack(reason):
                    _log.warning("%s: handing back to the original", self.key)
                    await self.hand_back(_own_turn(), failure=reason)
                case Recover():
                    await self._unless_overtaken(self._recovery.outlast(_own_turn()))
                case StartAgain(reason):
                    self._known.resting = reason
                    again = self._recovery.start_again(_own_turn())
                    await self._unless_overtaken(again, lambda: not self._known.resting)
                case _:
                    assert_never(reaction)

    async def _unless_overtaken(
        self, work: Coroutine[Any, Any, None], needless: Callable[[], bool] = lambda: False
    ) -> None:
        """Do *work*, unless it becomes *needless* or there is something to do that makes it so."""
        async with running(work, name=f"recovery of {self.key}") as task:
            await self.changes.until(
                lambda: (
                    task.done()
                    or needless()
                    or self._known.leaving
                    or isinstance(self._next(), GiveUp | HandBack)
                )
            )

    async def _react_to_loss(self, reason: str) -> None:
        attached = self._known.stage == "attached"
        self._loss.note(reason)
        if attached:
            await self.give_up(_own_turn())
            self._known.enter("held")

    async def _follow_drift(self) -> None:
        async with contextlib.aclosing(self._cluster.watch_drift()) as sights:
            async for sight in sights:
                self._known.drift = sight
                if self._known.stage == "attached" and (repair := render_repair(self.snapshot)):
                    _log.warning("%s: %s", self.key, repair)
                self.changes.notify()


def _own_turn() -> Turn:
    """For what nobody asked for: it is told to the log."""
    return Turn.of(_OWN, to_log)

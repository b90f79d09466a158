"""The phases of a handover, performed.

``plan.handover`` says what is done in which order; here, and only here, is how each phase is done.  A phase
is reported when it begins and, with the time that it took, when it has ended.
"""

from __future__ import annotations

import contextlib
from typing import assert_never

from devcluster.edge.agent.ssh import AgentLink
from devcluster.edge.background import running
from devcluster.errors import FailedError
from devcluster.plan.handover import (
    AgentRequest,
    Connect,
    Fill,
    Flush,
    Hold,
    HoldAll,
    Join,
    Phase,
    Replace,
    Rest,
    StartLocal,
    StopLocal,
    Tell,
)
from devcluster.rules.agent.facts import PodFacts
from devcluster.run.attach.links import Links
from devcluster.run.attach.loss import Loss
from devcluster.run.attach.release import Release, render_silence
from devcluster.run.attach.sides import ClusterSide, LocalSide
from devcluster.run.attach.waits import find_waits, tell_waits
from devcluster.run.changes import Changes
from devcluster.run.turn import Turn
from devcluster.run.wanted.wanted import Wanted

_HOLDING = 10.0  # seconds for the last agent to be held
_LANES = 5.0  # seconds until the gateway has measured its lanes
_SLACK = 2.0  # seconds: a wait inside a phase that ends by the deadline says what it waited for


class Executor:
    """One attachment's.  ``wanted``: what the file asks for, as last set by who edits; ``unsent``: what the
    last flush could not bring over; ``unserved`` and ``notes``: of the last release, see there."""

    def __init__(
        self,
        wanted: Wanted,
        links: Links,
        cluster: ClusterSide,
        local: LocalSide,
        loss: Loss,
        changes: Changes,
    ) -> None:
        self.wanted = wanted
        self.unserved: list[str] = []
        self.notes: list[str] = []
        self._cluster = cluster
        self.unsent: tuple[str, ...] = ()
        self._links = links
        self._local = local
        self._loss = loss
        self._changes = changes
        self._facts: PodFacts | None = None

    @property
    def _key(self) -> str:
        return self.wanted.workload.key

    async def perform(self, phases: tuple[Phase, ...], turn: Turn, *, tolerant: bool = False) -> None:
        """One after the other.  *tolerant*: an agent that can't be told is named; its lease ends by
        itself."""
        for phase in phases:
            perform = self._perform if tolerant else self._perform_in_time
            with turn.phase(self._key, str(phase), phase.name):
                await perform(phase, turn, tolerant)

    async def _perform_in_time(self, phase: Phase, turn: Turn, tolerant: bool) -> None:
        async with turn.deadline.enforced(_SLACK, str(phase)):
            await self._perform(phase, turn, tolerant)

    async def _perform(self, phase: Phase, turn: Turn, tolerant: bool) -> None:
        match phase:
            case Hold():
                await self.read_facts(turn)
                await self._local.check(self.wanted, await self.agent(turn))
            case Connect():
                await self._local.open(await self._known(turn), turn)
            case Fill():
                await self._local.fill(await self.agent(turn), turn)
            case Flush(again):
                self.unsent = await self._local.live.flush(turn, last=again)
            case Tell(("release",), serving=False):
                await self._release(turn)
            case Tell():
                await self._tell(phase, turn, tolerant)
            case HoldAll():
                await self._hold_all(turn)
            case StartLocal(again):
                await self._start(again, turn)
            case Replace():
                await self._local.replace(self.wanted, await self.read_facts(turn), turn)
            case Join(requests):
                await self._join(requests, turn)
            case Rest():
                if (starter := self._local.starter) is not None:
                    await starter.rest()
            case StopLocal():
                await self._local.stop(turn)
            case _:
                assert_never(phase)

    async def agent(self, turn: Turn) -> AgentLink:
        """The control conversation with the agent that the laptop goes by.  FailedError where it can't be
        reached in time."""
        try:
            async with turn.deadline.bound():
                await self._changes.until(lambda: bool(self._links.of_home or self._loss.reason))
        except TimeoutError as error:
            title = self.wanted.title
            raise FailedError(
                f"no agent of {title} could be reached in {turn.deadline.span:.0f} s",
                hint=self._links.trouble or f"kubectl describe {title} may say why",
            ) from error
        self._loss.check()
        home = self._links.of_home
        assert home is not None
        return await home.link()

    async def read_facts(self, turn: Turn) -> PodFacts:
        """What the pod has, asked again."""
        self._facts = await (await self.agent(turn)).inspect()
        return self._facts

    async def _start(self, again: bool, turn: Turn) -> None:
        if (starter := self._local.starter) is None:  # its user starts it
            return
        if again:
            await starter.restart(turn)
        else:
            await starter.start(await self._known(turn), turn)

    async def _known(self, turn: Turn) -> PodFacts:
        return self._facts or await self.read_facts(turn)

    async def _tell(self, phase: Tell, turn: Turn, tolerant: bool) -> None:
        async with self._telling_waits(turn):
            failed = await self._links.tell(
                *phase.requests,
                timeout=turn.deadline.left(),
                tolerant=tolerant,
                unless="child" if phase.serving else "",
            )
        for _, error in failed:
            turn.say(self._key, render_silence(phase.requests[-1], error))

    async def _release(self, turn: Turn) -> None:
        release = Release(self.wanted, self._links, self._cluster, self._changes)
        await release.perform(turn)
        self.unserved, self.notes = release.unserved, release.notes

    def _telling_waits(self, turn: Turn) -> contextlib.AbstractAsyncContextManager[object]:
        waits = tell_waits(self._links, self.wanted, self._changes, turn)
        return running(waits, name=f"waits of {self._key}")

    async def _hold_all(self, turn: Turn) -> None:
        """A pod that can't be reached is waited for only a moment."""
        with contextlib.suppress(TimeoutError):
            async with turn.deadline.part(_HOLDING).bound():
                await self._changes.until(lambda: all(it.state != "connecting" for it in self._links.live))

    async def _join(self, requests: tuple[AgentRequest, ...], turn: Turn) -> None:
        self._loss.check()
        try:
            async with turn.deadline.bound(), self._telling_waits(turn):
                await self._links.join(requests)
        except TimeoutError as error:
            waits = [
                f"pod {pod}: {wait}" for pod, wait in sorted(find_waits(self._links, self.wanted).items())
            ]
            raise FailedError(
                f"could not tell every agent of {self.wanted.title} within {turn.deadline.span:.0f} s",
                hint="; ".join(waits) or self._links.trouble,
            ) from error
        self._loss.check()
        if ended := self._local.sight.ended:  # while the original stopped, nobody listened for it
            raise FailedError(ended)
        with contextlib.suppress(TimeoutError):
            async with turn.deadline.part(_LANES).bound():
                await self._changes.until(self._are_measured)

    def _are_measured(self) -> bool:
        """Whether each pod has a lane whose round trip is known, so that `status` shows both from
        the start."""
        measured = {lane["pod"] for lane in self._local.sight.lanes if lane["rtt_ms"]}
        return all(link.pod.name in measured for link in self._links.live)

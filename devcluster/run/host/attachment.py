"""One workload, from the claim to the hand-back.

The order is what keeps every promise at once.  First everything is read and prepared while the original
still serves; the agents are held but route as before.  Then, by the workload's own strategy, either the
local container is healthy before the original stops (``start-first``), or the original has stopped before
the local one starts (``stop-first``, for what must never run twice).  The hand-back is the same backwards.

Pods come and go meanwhile: each gets a link of its own, and a link that comes late does by itself what the
others were told.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

from devcluster.edge.agent.ssh import AgentLink
from devcluster.edge.background import together
from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.workload import watch_agent_pods
from devcluster.edge.lines import RefusedError
from devcluster.errors import DevclusterError, FailedError, HeldError
from devcluster.rules.controllers import render_pause
from devcluster.run.host.changes import Changes
from devcluster.run.host.condition import Condition, Phase
from devcluster.run.host.drift import DriftWatch
from devcluster.run.host.links import Links
from devcluster.run.host.localpod import LocalPod
from devcluster.run.host.mending import Mending
from devcluster.run.host.podlink import Claim, Wire
from devcluster.run.host.tokens import TokenRefresh
from devcluster.run.report import Progress
from devcluster.run.site import Site
from devcluster.run.volume.filling import Filling
from devcluster.run.workload.record import unclaim
from devcluster.run.workload.wanted import Wanted

_HOLDING = 10.0  # seconds for the last agent to be held
_ASK = 5.0  # seconds for the record, when something else has failed already
_LINGER = 15.0  # seconds for the pods' last connections: the agents' drain_ms and some


class Attachment:
    """See the module.  ``run`` lives as long as the attachment; the session owns its task."""

    def __init__(self, site: Site, wanted: Wanted, claim: Claim, wire: Wire) -> None:
        self.wanted = wanted
        self.claim = claim
        self.changes = Changes()
        self.links = Links(claim, wire, self.changes, self._changed)
        self.local = LocalPod(site, wanted, self._local_ended, self._open_doors)
        self._site = site
        self._wire = wire
        self._letting_go = False  # by ourselves: whoever else holds a part then takes nothing from us
        self._failing = asyncio.Event()
        self._losing = asyncio.Event()
        self._mending = Mending(
            self.local,
            self.links,
            claim.lease,
            self.changes,
            wanted=self._is_kept,
            failed=self._local_ended,
        )
        self._tokens = TokenRefresh(self.local, self.links, self.changes, self._is_kept)
        self._drift = DriftWatch(site.cluster, wanted.object, self._drifted)
        self.condition = Condition(self.key, wanted.title, self.links, self._mending, self._drift)

    @property
    def key(self) -> str:
        return self.wanted.workload.key

    async def until_repaired(self) -> None:
        """After `up` wrote it again: until that was seen."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HOLDING):
                await self.changes.until(lambda: not self.condition.repair)

    def _is_kept(self) -> bool:
        return self.condition.phase == "attached" and not self._letting_go and not self.condition.taken

    def _drifted(self) -> None:
        if self.condition.phase == "attached" and self.links.engaged and self.condition.repair:
            print(f"{self.key}: {self.condition.repair}", file=sys.stderr, flush=True)
        self._changed()

    async def run(self) -> None:
        """Follow the pods and hold each of them, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_failure(), name=f"failure {self.key}")
            tasks.create_task(self._watch_loss(), name=f"loss {self.key}")
            tasks.create_task(self._mending.run(), name=f"outage {self.key}")
            tasks.create_task(self._tokens.run(), name=f"tokens {self.key}")
            tasks.create_task(self._drift.run(), name=f"drift {self.key}")
            tasks.create_task(self.local.run(), name=f"local {self.key}")
            states = watch_agent_pods(self._site.cluster, self.wanted.object)
            async with contextlib.aclosing(states):
                async for pods in states:
                    self.links.follow(pods, tasks)
                    self._changed()

    async def attach(self) -> None:
        """From held agents to a healthy local container that gets the traffic.

        Raises FailedError and what the edge raises; the caller hands back.
        """
        async with self._translated():
            await together(self._attach(), self._watch_template(), name=f"attach {self.key}")

    async def _watch_template(self) -> None:
        """One that is put back before all is ready is the end of it: no pod will have an agent."""
        await self.changes.until(lambda: self.condition.phase != "starting" or bool(self.condition.gone))
        if self.condition.phase == "starting":
            raise FailedError("; ".join(self.condition.gone), hint=render_pause(self.wanted.object.object))

    async def _attach(self) -> None:
        link = await self._first_link()
        facts = await link.inspect()
        await self.local.filling.check(link)
        if self._wire.ways.kind != "proxy":
            self._say(f"lanes by {self._wire.ways.kind}, which is slower: {self._wire.ways.reason}")
        self._say("starting the gateway")
        await self.local.open(facts, self._wire.keys, self.claim.epoch)
        await self.local.fill(link)
        if self.claim.order == "stop-first":
            self._say("stopping the original")
            await self._all("pause", "stop")
            await self.local.fill(link)
        await self.local.start(facts)
        await self.local.wait_healthy()
        await self._all_held()
        self._say("taking the traffic")
        self.links.engaged = True
        self.changes.notify()
        await self._engage_all()

    async def check(self, wanted: Wanted) -> None:
        """ConfigurationError where an edit's volumes can't be copied, while what runs goes on serving."""
        held = self.links.held
        if held and self.local.filling.differs(wanted):
            async with self._translated():
                await Filling(self._site, wanted).check(await held[0].link())

    async def differs(self, wanted: Wanted) -> bool:
        """Whether ``change`` would do anything."""
        async with self._translated():
            return await self.local.differs(wanted, await (await self._first_link()).inspect())

    async def change(self, wanted: Wanted) -> bool:
        """Take up an edit that needs no new pods; False where nothing of the local pod differs."""
        async with self._translated():
            return await self._change(wanted)

    async def _change(self, wanted: Wanted) -> bool:
        await self._mending.until_over(self._site.timeout)
        link = await self._first_link()
        facts = await link.inspect()
        if not await self.local.differs(wanted, facts):
            return False
        self._set("starting")
        self.wanted = wanted
        await self._all("pause")
        await self.local.reopen(wanted, facts, self._wire.keys, self.claim.epoch)
        await self.local.fill(link)
        await self.local.start(facts)
        await self.local.wait_healthy()
        await self._engage_all()
        return True

    async def hand_back(self, *, failure: str = "") -> None:
        """Give the traffic back to the original and stop the local container."""
        self.condition.failure = failure
        self._letting_go = True
        self._mending.end()
        self.links.disengage()
        if self.claim.order == "stop-first":
            await self._all("pause", tolerant=True)
            await self.local.stop()
            await self._all("release", tolerant=True, last=True)
        else:
            await self._all("release", tolerant=True, last=True)
            await self.local.stop()
        self.links.close()
        await self._unclaim()
        self._set("failed" if failure else "left")

    async def _unclaim(self) -> None:
        """Pods that start from now on wait for nobody."""
        try:
            await unclaim(self._site.cluster, self.wanted.ref, self.claim.epoch)
        except DevclusterError as error:
            if not self.condition.failure and not isinstance(error, ForbiddenError):
                raise
            self._say(f"who held it could not be taken out ({error}); new pods wait for one lease")

    async def restart(self) -> None:
        """Stop and start the local container; connections wait in the agents meanwhile."""
        async with self._translated():
            await self._restart()

    async def _restart(self) -> None:
        await self._mending.until_over(self._site.timeout)
        self._set("starting")
        await self._all("pause")
        await self.local.restart()
        await self.local.wait_healthy()
        await self._engage_all()

    async def _all_held(self) -> None:
        """Before any pod is taken every one is held, so that no former holder keeps a part; a pod that can't
        be reached is not waited for longer than a moment."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HOLDING):
                await self.changes.until(lambda: all(link.state != "connecting" for link in self.links.live))

    async def _engage_all(self) -> None:
        self._unless_taken()
        await self.links.engage()
        self._unless_taken()
        if self.local.ending:  # while the original stopped, nobody listened for it
            raise FailedError(self.local.ending)
        self._set("attached")

    @contextlib.asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        """An agent that refuses or is lost in the middle is a failure of this command, not a bug."""
        try:
            yield
        except (DevclusterError, RefusedError, ConnectionError, TimeoutError) as error:
            await self._unless_lost()
            if isinstance(error, DevclusterError):
                raise
            if isinstance(error, RefusedError):
                raise FailedError(f"the agent refused: {error.text}") from error
            raise FailedError(f"the agent was lost: {error or type(error).__name__}") from error

    async def _unless_lost(self) -> None:
        """HeldError where somebody else has it now.  The record knows it first: an agent that is taken ends
        what we had open before it says to whom, and what is theirs must not be put back."""
        self._unless_taken()
        with contextlib.suppress(DevclusterError, OSError, TimeoutError):
            try:
                async with asyncio.timeout(_ASK):
                    await self._wire.verify()
            except RefusedError as refusal:
                self._lose(refusal.text)
        self._unless_taken()

    def _unless_taken(self) -> None:
        if self.condition.taken:
            raise HeldError(self.condition.taken, hint="`devcluster up --takeover` takes it back")

    async def yield_first(self) -> None:
        """Before the template is restored: what must never run twice stops here first."""
        self._drift.close()
        self._letting_go = True
        self._mending.end()
        if self.claim.order == "stop-first":
            self.links.disengage()
            await self._all("pause", tolerant=True)
            await self.local.stop()

    async def until_pods_end(self) -> None:
        """Agents that end go on serving by us until nobody is sent to them any more; bounded, since a
        connection may stay open for ever."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                await self.changes.until(lambda: not self.links)

    def _local_ended(self, reason: str) -> None:
        """The local container exited or turned unhealthy."""
        if self.condition.phase == "attached":
            self.condition.failure = reason
            self._failing.set()

    async def _watch_loss(self) -> None:
        """Who lost a part has lost all: of two laptops never both hold something."""
        await self._losing.wait()
        print(f"{self.key}: {self.condition.taken}", file=sys.stderr, flush=True)
        if self.condition.phase == "attached":
            await self.local.stop()
            self._set("held")
            self._site.failed(self.key, self.condition.taken)

    def _lose(self, reason: str) -> None:
        self.condition.taken = reason
        self._mending.end()
        self.links.give_up(reason)
        self._losing.set()

    async def _watch_failure(self) -> None:
        await self._failing.wait()
        self._say(f"{self.condition.failure}: handing back to the original")
        await self.hand_back(failure=self.condition.failure)
        self._site.failed(self.key, self.condition.failure)

    async def _first_link(self) -> AgentLink:
        try:
            async with asyncio.timeout(self._site.timeout):
                await self.changes.until(lambda: bool(self.links.held or self.condition.taken))
        except TimeoutError as error:
            raise FailedError(
                f"no agent of {self.wanted.title} could be reached in {self._site.timeout:.0f} s",
                hint=self.condition.reason or f"kubectl describe {self.wanted.title} may say why",
            ) from error
        self._unless_taken()
        return await self.links.held[0].link()

    async def _all(self, *requests: str, tolerant: bool = False, last: bool = False) -> None:
        failed = await self.links.tell(*requests, timeout=self._site.timeout, tolerant=tolerant, last=last)
        for error in failed:
            self._say(f"an agent could not be told to {requests[-1]} ({error}); its lease ends by itself")

    def _open_doors(self) -> None:
        self.links.open_door(self.local.network.door)
        self._changed()

    def _changed(self) -> None:
        if self.links.lost and not self.condition.taken and not self._letting_go:
            self._lose(self.links.lost)
        self.condition.note()
        self.changes.notify()
        self._site.changed()

    def _set(self, phase: Phase) -> None:
        self.condition.phase = phase
        self._changed()

    def _say(self, text: str) -> None:
        self._site.report(Progress(self.key, text))

"""One agent, held for as long as this laptop wants it.

The link is three things at once: a control conversation whose heartbeat renews the lease, two lanes for
the connections, and the wish of what the agent should do.  Any of them may break at any time (a pod
deleted, an API server away, a laptop asleep); then everything of the link is opened anew, and the wish
is said again.  The agent decides by its lease, never by what it last heard of us.

The naive way, to repair only what broke, needs a case for each pair of states; one loop needs none.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from devcluster.config.model import Order
from devcluster.edge.agent.ssh import AgentLink, Keys, open_agent
from devcluster.edge.background import apart, unless_cancelled
from devcluster.edge.kube.cluster import UpgradeTarget
from devcluster.edge.lane.door import Door, open_lane
from devcluster.edge.lane.lanes import AgentAddress
from devcluster.edge.lane.ways import Ways
from devcluster.edge.lines import Json, RefusedError
from devcluster.errors import DevclusterError, EngineError, NotFoundError, first_of
from devcluster.plan.cluster import AgentPod
from devcluster.run.host import sleep
from devcluster.run.host.changes import Changes

_LANES = 2
_OPEN = 10.0  # seconds for one attempt
_BEAT = 0.5  # seconds between two beats at most; the lease bears more, the truth does not
_SILENT = 1.5  # seconds without a word of the agent, then it can't be said to be attached
_AGAIN = 0.3  # seconds between two attempts to be let in beside a silent connection
_BACKOFF = (0.1, 0.2, 0.5, 1.0, 2.0)

LinkState = Literal["connecting", "held", "attached", "reconnecting", "lost", "gone"]


@dataclass(frozen=True, slots=True)
class Claim:
    """What we say to every agent of the workload.  ``since``: RFC 3339; ``lease``: seconds."""

    epoch: int
    holder: Json
    since: str
    lease: float
    order: Order


async def _trust() -> None:
    """Nobody else can have claimed it."""


def _keep(moment: float) -> None:
    """Nothing else stands to the API server."""


@dataclass(frozen=True, slots=True)
class Wire:
    """How an agent is reached.  ``target`` is asked anew for each connection: tokens expire.  ``verify``
    raises RefusedError where the claim is not the newest: a pod that has just started can't know.
    ``distrust`` ends what else was opened to the API server before a moment of the monotonic clock."""

    target: Callable[[], Awaitable[UpgradeTarget]]
    namespace: str
    port: int
    keys: Keys
    ways: Ways = field(default_factory=Ways)
    verify: Callable[[], Awaitable[None]] = _trust
    distrust: Callable[[float], None] = _keep


class PodLink:
    """See the module.  ``run`` is the loop; the rest may be called from beside it."""

    def __init__(self, pod: AgentPod, claim: Claim, wire: Wire, on_change: Callable[[], None]) -> None:
        self.pod = pod
        self.state: LinkState = "connecting"
        self.reason = ""
        self.since = time.time()
        self.agent_state: Json = {}
        self._heard = time.monotonic()
        self._bare = time.time()  # since when no lane stands, or one does
        self.holder: Json | None = None  # who took it from us
        self._claim = claim
        self._wire = wire
        self._on_change = on_change
        self._link: AgentLink | None = None
        self._door: Door | None = None
        self._changes = Changes()
        self._engaged = False
        self._failures = 0

    @property
    def address(self) -> AgentAddress:
        return AgentAddress(self._wire.namespace, self.pod.name, self._wire.port)

    @property
    def seen(self) -> LinkState:
        """``state`` as a request finds it: an agent without a lane, or without a word, reaches nobody."""
        return "reconnecting" if self._cut else self.state

    @property
    def is_quiet(self) -> bool:
        """Whether it is not attached for want of a word or a lane, since ``seen_since``."""
        return bool(self._cut)

    @property
    def trouble(self) -> str:
        """Why it is not attached; '' if it is."""
        return self._cut or self.reason

    @property
    def seen_since(self) -> float:
        """Since when ``seen`` is what it is, in seconds of the epoch."""
        if self._silence > _SILENT and self.state == "attached":
            return time.time() - self._silence
        return max(self.since, self._bare) if self.state == "attached" else self.since

    @property
    def _silence(self) -> float:
        """Seconds.  Any byte counts: behind megabytes of a volume an answer is late, and nobody silent."""
        heard = self._heard if self._link is None else max(self._heard, self._link.heard)
        return time.monotonic() - heard

    @property
    def _cut(self) -> str:
        if self.state != "attached":
            return ""
        if self._silence > _SILENT:
            return "its agent can't be heard"
        return "" if self.agent_state.get("lanes") else "no lane to this laptop stands"

    @property
    def ways(self) -> Ways:
        """How it is reached."""
        return self._wire.ways

    @property
    def over(self) -> bool:
        """Nothing more will come of it: the pod is gone, or somebody else holds it."""
        return self.state in ("lost", "gone")

    @property
    def connected(self) -> bool:
        """Whether the agent can be asked at this moment."""
        return self._link is not None

    def give_up(self, reason: str) -> None:
        """Somebody else holds the workload: no more of this pod either."""
        self._change("lost", reason)

    def let_go(self) -> None:
        """The pod was given back: it is not held again."""
        self._change("gone", "given back")

    def forget(self) -> None:
        """The pod is gone: the loop ends, and whoever waits for it."""
        self._change("gone", "the pod is gone")

    def open_door(self, door: Door | None) -> None:
        """The gateway stands (or None: it is away): from now on lanes are opened."""
        self._door = door
        self._changes.notify()

    async def link(self) -> AgentLink:
        """The control conversation, once the agent is held."""
        await self._changes.until(lambda: self._link is not None or self.over)
        if self._link is None:
            raise ConnectionError(self.reason)
        return self._link

    async def call(self, do: str) -> Json:
        """One request of the holder's; ``epoch`` is added."""
        answer = await (await self.link()).call(do, epoch=self._claim.epoch)
        self._hear(answer)
        return answer

    async def run(self) -> None:
        """Hold the agent until cancelled, or until the pod is gone or somebody else holds it."""
        while not self.over:
            try:
                target = await self._wire.target()
                async with open_agent(
                    self._wire.ways, target, self.address, self._wire.keys, timeout=_OPEN, on_state=self._hear
                ) as link:
                    await apart(self._serve(link), name=f"serve {self.pod.name}")
            except RefusedError as refusal:
                self._refused(refusal)
            except NotFoundError as error:
                self._change("gone", str(error))
            except (DevclusterError, OSError, TimeoutError) as error:
                self._change(self._broken(), str(error) or type(error).__name__)
            unless_cancelled()
            await self._pause()

    async def _pause(self) -> None:
        """Before the next attempt, a little longer each time; at once when it is over."""
        delay = _BACKOFF[min(self._failures, len(_BACKOFF) - 1)]
        self._failures += 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._changes.until(lambda: self.over)

    async def engage(self) -> None:
        """Route the pod's connections here: by the order, after its child has stopped or before."""
        self._engaged = True
        await self.link()
        await self._changes.until(lambda: self.over or self.agent_state.get("lanes", 0) > 0)
        stop_first = ("pause", "stop", "take")
        for do in stop_first if self._claim.order == "stop-first" else ("take", "stop"):
            await self.call(do)
        self._change("attached", "")

    def disengage(self) -> None:
        """No longer wish for the pod's connections; what the agent does now is asked by ``call``."""
        self._engaged = False

    def _broken(self) -> LinkState:
        return "connecting" if self.state == "connecting" else "reconnecting"

    async def _serve(self, link: AgentLink) -> None:
        claim = self._claim
        if self.agent_state and self._silence > _SILENT:
            self._wire.distrust(self._heard)
        await self._wire.verify()
        self._hear(
            await link.call("hold", timeout=_OPEN, epoch=claim.epoch, holder=claim.holder, since=claim.since)
        )
        self._failures, self._link = 0, link
        self._change("held", "held again, not serving yet" if self._engaged else "")
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._beat(link), name=f"beat {self.pod.name}")
                for number in range(_LANES):
                    tasks.create_task(self._keep_lane(number), name=f"lane {number} {self.pod.name}")
                tasks.create_task(self._end_when_over(), name=f"end {self.pod.name}")
                tasks.create_task(self._end_when_dead(link), name=f"silence {self.pod.name}")
                tasks.create_task(self._end_when_slept(), name=f"sleep {self.pod.name}")
                if self._engaged:
                    tasks.create_task(self.engage(), name=f"engage {self.pod.name}")
        except ExceptionGroup as group:
            raise first_of(group) from group
        finally:
            self._link = None

    async def _end_when_over(self) -> None:
        await self._changes.until(lambda: self.over)
        raise ConnectionError(self.reason)

    async def _end_when_slept(self) -> None:
        self._wire.distrust(await sleep.until_slept())
        raise ConnectionError("this laptop was asleep")

    async def _end_when_dead(self, link: AgentLink) -> None:
        """A connection may be silent because the network is away, or a queue on its way is full; then it
        will speak again, and what it carries is worth waiting for.  Where a new one is let in meanwhile, it
        is the old one that is dead."""
        while True:
            heard = link.heard
            await asyncio.sleep(max(heard + _SILENT - time.monotonic(), _AGAIN))
            if heard == link.heard and await self._lets_in() and heard == link.heard:
                raise ConnectionError("the connection died without a word")

    async def _lets_in(self) -> bool:
        wire = self._wire
        try:
            async with open_agent(wire.ways, await wire.target(), self.address, wire.keys, timeout=_OPEN):
                return True
        except (DevclusterError, OSError, TimeoutError):
            unless_cancelled()
            return False

    async def _beat(self, link: AgentLink) -> None:
        """Each without waiting for the one before: on a slow line, too, a word comes as often as one is asked
        for, and silence means the same."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await asyncio.sleep(min(self._claim.lease / 5, _BEAT))
                tasks.create_task(self._one_beat(link), name=f"one beat {self.pod.name}")

    async def _one_beat(self, link: AgentLink) -> None:
        patience = max(2 * self._claim.lease / 5, 2.0)
        try:
            self._hear(await link.call("beat", timeout=patience, epoch=self._claim.epoch))
        except TimeoutError:
            if time.monotonic() - link.heard > patience:
                raise

    async def _keep_lane(self, number: int) -> None:
        failures = 0
        while True:
            await self._changes.until(lambda: self._door is not None)
            door = self._door  # it may close while we ask for the target
            assert door is not None
            name, ways = f"{number}-{secrets.token_hex(4)}", self._wire.ways
            try:
                lost = await open_lane(ways, await self._wire.target(), self.address, door, name)
                failures = 0
                await lost
            except EngineError:  # the gateway is away; whoever starts it anew opens the door again
                failures += 1
            await asyncio.sleep(_BACKOFF[min(failures, len(_BACKOFF) - 1)])

    def _hear(self, state: Json) -> None:
        self._heard = time.monotonic()
        if bool(state.get("lanes")) != bool(self.agent_state.get("lanes")):
            self._bare = time.time()
        self.agent_state = state
        holder = state.get("holder")
        if holder and state["epoch"] > self._claim.epoch:
            self.holder = holder
            self._change("lost", f"held by {holder['user']}@{holder['host']} since {state['since']}")
        self._changes.notify()
        self._on_change()

    def _change(self, state: LinkState, reason: str) -> None:
        if self.over:
            return
        if state != self.state:
            self.since = time.time()
        self.state, self.reason = state, reason
        self._changes.notify()
        self._on_change()

    def _refused(self, refusal: RefusedError) -> None:
        # An agent that gave the pod back by itself, for want of beats, names no holder: it may be held again.
        if refusal.kind == "held" or refusal.detail.get("holder"):
            self.holder = refusal.detail.get("holder")
            self._change("lost", refusal.text)
        else:
            self._change(self._broken(), refusal.text)

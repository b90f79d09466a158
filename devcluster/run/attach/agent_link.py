"""One agent, held for as long as this laptop wants it.

The link is three things at once: a control conversation whose heartbeat renews the lease, two lanes for the
connections, and what the agent is asked to do.  Any of them may break at any time (a deleted pod, an API
server that is away, a sleeping laptop).  Then everything of the link is opened anew, and the agent is asked
again.  The agent decides by its lease, never by what it last heard from us.

The naive way, to repair only what broke, needs a case for each pair of states; one loop needs none.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from dataclasses import dataclass
from typing import Any

from devcluster.edge.agent.ssh import AgentLink, StrangerError
from devcluster.edge.background import apart, unless_cancelled
from devcluster.edge.lines import Json, RefusedError
from devcluster.errors import DevclusterError, EngineError, NotFoundError, first_of
from devcluster.plan.handover import AgentRequest
from devcluster.rules.agent.agent_pod import AgentPod
from devcluster.rules.agent.agent_state import UNHEARD, parse_state
from devcluster.rules.state import SILENT, LinkState, PodSight
from devcluster.run.attach import sleep
from devcluster.run.attach.sides import ClusterSide, LocalSide
from devcluster.run.changes import Changes

_LANES = 2
_OPEN = 10.0  # seconds for one attempt
_BEAT = 0.5  # seconds between two beats at most; the lease bears more, the truth does not
_AGAIN = 0.3  # seconds between two attempts to be let in beside a silent connection
_BACKOFF = (0.1, 0.2, 0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class Tenure:
    """What we say to every agent of the workload.  ``since``: RFC 3339; ``lease``: seconds."""

    epoch: int
    holder: Json
    since: str
    lease: float


class PodLink:
    """See the module.  ``run`` is the loop; the other methods may be called from beside it."""

    def __init__(
        self, pod: AgentPod, tenure: Tenure, cluster: ClusterSide, local: LocalSide, changes: Changes
    ) -> None:
        self.pod = pod
        self.state: LinkState = "connecting"
        self.reason = ""
        self.agent_state = UNHEARD
        self.opened = 0  # how often the agent let us in
        self._since = time.time()
        self._heard = time.monotonic()
        self._bare = time.time()  # since when there is no lane, or one
        self._tenure = tenure
        self._cluster = cluster
        self._local = local
        self._changes = changes
        self._link: AgentLink | None = None
        self._joins: tuple[AgentRequest, ...] | None = None  # what the agent is to be told; None: only held
        self._failures = 0

    @property
    def sight(self) -> PodSight:
        """What is known of it at this moment."""
        return PodSight(
            self.pod.name,
            self.state,
            self.reason,
            self._since,
            heard=time.time() - self._silence,
            bare=self._bare,
            lanes=self.agent_state.lanes,
        )

    @property
    def _silence(self) -> float:
        """Seconds without a byte.  Any byte counts: an answer behind megabytes of a volume is late, and yet
        nobody is silent."""
        heard = self._heard if self._link is None else max(self._heard, self._link.heard)
        return time.monotonic() - heard

    @property
    def over(self) -> bool:
        """Nothing more will come of it: the pod is gone, or somebody else holds it."""
        return self.state in ("lost", "gone")

    @property
    def connected(self) -> bool:
        """Whether the agent can be asked at this moment."""
        return self._link is not None

    def give_up(self, reason: str) -> None:
        """Somebody else holds the workload, so this pod is lost, too."""
        self._change("lost", reason)

    def let_go(self) -> None:
        """The pod was given back: it is not held again."""
        self._change("gone", "given back")

    def forget(self) -> None:
        """The pod is gone: this ends the loop, and whoever waits for it."""
        self._change("gone", "the pod is gone")

    async def link(self) -> AgentLink:
        """The control conversation, once the agent is held."""
        await self._changes.until(lambda: self._link is not None or self.over)
        if self._link is None:
            raise ConnectionError(self.reason)
        return self._link

    async def call(self, do: str, **arguments: Any) -> None:
        """One request of the holder's; ``epoch`` is added, and the answer is its ``agent_state``."""
        self._hear(await (await self.link()).call(do, epoch=self._tenure.epoch, **arguments))

    async def run(self) -> None:
        """Hold the agent until cancelled, or until the pod is gone or somebody else holds it."""
        while not self.over:
            try:
                opened = self._cluster.open_agent(self.pod.name, self._hear, timeout=_OPEN)
                async with opened as link:
                    await apart(self._serve(link), name=f"serve {self.pod.name}")
            except RefusedError as refusal:
                self._refused(refusal)
            except StrangerError as error:
                await self._ask_record(error)
            except NotFoundError as error:
                self._change("gone", str(error))
            except (DevclusterError, OSError, TimeoutError) as error:
                self._change(self._broken(), str(error) or type(error).__name__)
            unless_cancelled()
            await self._pause()

    async def _ask_record(self, error: StrangerError) -> None:
        """Somebody took the agent out that we held, and installed another one: the record says who has it."""
        with contextlib.suppress(DevclusterError, OSError, TimeoutError):
            try:
                await self._cluster.verify()
            except RefusedError as refusal:
                return self._refused(refusal)
        self._change(self._broken(), str(error))

    async def _pause(self) -> None:
        """Wait before the next attempt, a little longer each time; not at all when it is over."""
        delay = _BACKOFF[min(self._failures, len(_BACKOFF) - 1)]
        self._failures += 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._changes.until(lambda: self.over)

    async def join(self, requests: tuple[AgentRequest, ...]) -> None:
        """From now on ask the agent for *requests*; return when it has done them and a lane is up.  One that
        is not held yet is asked as soon as it is."""
        self._joins = requests
        if self._link is not None:
            return await self._join(requests)
        await self._changes.until(lambda: self.state == "attached" or self.over)
        if self.over:
            raise ConnectionError(self.reason)

    async def _join(self, requests: tuple[AgentRequest, ...]) -> None:
        await self._changes.until(lambda: self.over or self.agent_state.lanes > 0)
        for do in requests:
            await self.call(do)
        self._change("attached", "")

    def disengage(self) -> None:
        """From now on only hold it; what the agent does is asked for by ``call``."""
        self._joins = None

    def _broken(self) -> LinkState:
        return "connecting" if self.state == "connecting" else "reconnecting"

    async def _serve(self, link: AgentLink) -> None:
        tenure = self._tenure
        if self.agent_state is not UNHEARD and self._silence > SILENT:
            self._cluster.distrust(self._heard)
        await self._cluster.verify()
        self._hear(
            await link.call(
                "hold", timeout=_OPEN, epoch=tenure.epoch, holder=tenure.holder, since=tenure.since
            )
        )
        self._failures, self._link = 0, link
        self.opened += 1
        self._change("held", "reconnected; waiting for a lane" if self._joins is not None else "")
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._beat(link), name=f"beat {self.pod.name}")
                for number in range(_LANES):
                    tasks.create_task(self._keep_lane(number), name=f"lane {number} {self.pod.name}")
                tasks.create_task(self._end_when_over(), name=f"end {self.pod.name}")
                tasks.create_task(self._end_when_dead(link), name=f"silence {self.pod.name}")
                if self._joins is not None:
                    tasks.create_task(self._join(self._joins), name=f"join {self.pod.name}")
        except ExceptionGroup as group:
            raise first_of(group) from group
        finally:
            self._link = None

    async def _end_when_over(self) -> None:
        await self._changes.until(lambda: self.over)
        raise ConnectionError(self.reason)

    async def _end_when_dead(self, link: AgentLink) -> None:
        """A connection may be silent because the network is away, or because a queue on its way is full.
        Then it will speak again, and what it carries is worth waiting for.  If a new connection is let in
        meanwhile, the old one is dead."""
        while True:
            heard = link.heard
            await asyncio.sleep(max(heard + SILENT - time.monotonic(), _AGAIN))
            if heard == link.heard and await self._lets_in() and heard == link.heard:
                raise ConnectionError("the connection stopped answering; a new one works")

    async def _lets_in(self) -> bool:
        try:
            async with self._cluster.open_agent(self.pod.name, lambda _: None, timeout=_OPEN):
                return True
        except (DevclusterError, OSError, TimeoutError):
            unless_cancelled()
            return False

    async def _beat(self, link: AgentLink) -> None:
        """Each beat without waiting for the one before: on a slow line, too, answers come as often as they
        are asked for, and silence means the same."""
        before = sleep.asleep()
        async with asyncio.TaskGroup() as tasks:
            while True:
                awake = time.monotonic()
                await asyncio.sleep(min(self._tenure.lease / 5, _BEAT))
                if sleep.asleep() - before >= sleep.NAP:
                    self._cluster.distrust(awake)
                    raise ConnectionError("this laptop was asleep")
                tasks.create_task(self._one_beat(link), name=f"one beat {self.pod.name}")

    async def _one_beat(self, link: AgentLink) -> None:
        patience = max(2 * self._tenure.lease / 5, 2.0)
        try:
            self._hear(await link.call("beat", timeout=patience, epoch=self._tenure.epoch))
        except TimeoutError:
            if time.monotonic() - link.heard > patience:
                raise

    async def _keep_lane(self, number: int) -> None:
        failures = 0
        while True:
            await self._changes.until(lambda: self._local.door is not None)
            door = self._local.door
            assert door is not None
            try:
                lost = await self._cluster.open_lane(self.pod.name, door, f"{number}-{secrets.token_hex(4)}")
                failures = 0
                await lost
            except EngineError:  # the gateway is away; whoever starts it anew has another door
                failures += 1
            await asyncio.sleep(_BACKOFF[min(failures, len(_BACKOFF) - 1)])

    def _hear(self, told: Json) -> None:
        """A beat that tells nothing new wakes nobody: everybody who waits would look at everything."""
        state, before = parse_state(told), self.agent_state
        news = state != before or time.monotonic() - self._heard > SILENT
        self._heard = time.monotonic()
        if bool(state.lanes) != bool(before.lanes):
            self._bare = time.time()
        self.agent_state = state
        if state.holder and state.epoch > self._tenure.epoch:
            self._change("lost", f"held by {state.holder} since {state.since}")
        if news:
            self._changes.notify()

    def _change(self, state: LinkState, reason: str) -> None:
        if self.over:
            return
        if state != self.state:
            self._since = time.time()
        self.state, self.reason = state, reason
        self._changes.notify()

    def _refused(self, refusal: RefusedError) -> None:
        # An agent that gave the pod back by itself, for want of beats, names no holder: it may be held again.
        if refusal.kind == "held" or refusal.detail.get("holder"):
            self._change("lost", refusal.text)
        else:
            self._change(self._broken(), refusal.text)

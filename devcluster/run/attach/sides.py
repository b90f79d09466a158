"""The two sides that an attachment joins, as it sees them: the workload's cluster, and the laptop.

An attachment decides; what it decides about is behind these two.  Nobody reaches through them to their parts:
they show a frozen sight of themselves, and announce by the attachment's ``Changes`` that it has changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from devcluster.edge.agent.ssh import AgentLink
from devcluster.edge.docker.engine import PublishedPort
from devcluster.edge.lane.door import Door
from devcluster.edge.lane.ways import Ways
from devcluster.rules.agent.agent_pod import AgentPod
from devcluster.rules.agent.facts import Listener, PodFacts
from devcluster.rules.cluster.drift import Drift
from devcluster.rules.container.environment import LocalEnvironment, RewriteMade
from devcluster.run.turn import Turn
from devcluster.run.volume.live_volumes import LiveVolumes
from devcluster.run.wanted.wanted import Wanted

Json = dict[str, Any]
AgentSource = Callable[[Turn], Awaitable[AgentLink]]


@dataclass(frozen=True, slots=True)
class DriftSight:
    """Which of our changes somebody has undone, and how many pods the workload wants."""

    found: tuple[Drift, ...] = ()
    replicas: int = 1


class ClusterSide(Protocol):
    """One workload that this laptop holds."""

    @property
    def ways(self) -> Ways:
        """How its agents are reached."""

    def watch_pods(self) -> AsyncGenerator[tuple[AgentPod, ...], None]:
        """Its pods with an agent, at once and after each change."""

    def watch_former(self) -> AsyncGenerator[frozenset[str], None]:
        """Names of its pods that are ending and have no agent, at once and after each change."""

    def watch_drift(self) -> AsyncGenerator[DriftSight, None]:
        """What has drifted, at once and after each change."""

    def open_agent(
        self, pod: str, on_state: Callable[[Json], None], *, timeout: float
    ) -> AbstractAsyncContextManager[AgentLink]:
        """The control conversation with one agent; see ``edge.agent.ssh.open_agent``."""

    async def open_lane(self, pod: str, door: Door, name: str) -> asyncio.Future[None]:
        """A lane from *pod* to the gateway; done when it is gone."""

    async def verify(self) -> None:
        """RefusedError where the tenure is not the newest: a pod that has just started can't know."""

    async def check_beside(self, container: str, ports: tuple[int, ...], weak: frozenset[str]) -> None:
        """FailedError where another container than *container* does not run any more since the agent is
        there, which listens on *ports*.  *weak*: those that ended before us, too."""

    async def replace_pod(self, pod: AgentPod, *, grace: int | None) -> None:
        """Its controller makes another one.  *grace*: seconds that it has to end; None: its own."""

    @property
    def early(self) -> bool:
        """Whether the other one comes before this one is gone."""

    @property
    def lasting(self) -> bool:
        """Whether a pod's successor has its name and its claims."""

    async def relinquish(self) -> None:
        """Nobody holds it any more: pods that start from now on wait for nobody."""

    def distrust(self, moment: float) -> None:
        """End what was opened to the API server before *moment* of the monotonic clock."""


@dataclass(frozen=True, slots=True)
class LocalSight:
    """What is looked at after each change, so it is quickly made.  ``name``: of what answers, for people;
    ``container``: its id while it runs; ``outage``: why nothing of it can run now; ``ports``: of the pod, and
    address and port on the laptop; ``ended``: why it can't serve any more; ``resting``: that it ended with 0
    and is started again, at ``wakes`` (seconds of the epoch), and ``lives``: how often that was, in words;
    ``versions``: of the copies of what kubelet writes anew; ``silent``: where nobody listens though callers
    come, in words."""

    name: str
    container: str | None = None
    outage: str = ""
    ended: str = ""
    resting: str = ""
    wakes: float = 0.0
    lives: str = ""
    ports: tuple[PublishedPort, ...] = ()
    lanes: tuple[Json, ...] = ()
    versions: frozenset[str] = frozenset()
    silent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GatewayKeys:
    """What lets the local side into the pod's network.  ``key``: the laptop's, PEM; ``agent``: the agents'
    public key, an OpenSSH line."""

    epoch: int
    key: bytes = field(repr=False)
    agent: str


class Starter(Protocol):
    """What starts, and starts again, what serves on the laptop."""

    async def start(self, facts: PodFacts, turn: Turn) -> None:
        """Start what serves, new, until it is healthy.  FailedError where it ends before, or is not healthy
        in time."""

    async def restart(self, turn: Turn) -> None:
        """Stop and start the same, until it is healthy."""

    async def rest(self) -> None:
        """The pause before what ended with 0 is started again."""

    async def recover(self, turn: Turn, agent: AgentSource) -> None:
        """After an outage, which is waited for: healthy again.  *agent*: where what was lost comes from."""


class LocalSide(Protocol):
    """What serves on the laptop in the workload's place."""

    @property
    def starter(self) -> Starter | None:
        """None where its user starts it: then it never rests, nor does an engine take it along."""

    @property
    def sight(self) -> LocalSight: ...

    @property
    def volumes(self) -> tuple[Json, ...]:
        """Their rows in ``status -o json``."""

    @property
    def rewrites(self) -> tuple[RewriteMade, ...]:
        """Where a host was qualified, or left alone."""

    @property
    def door(self) -> Door | None:
        """Where lanes end; None while nothing takes them."""

    @property
    def live(self) -> LiveVolumes:
        """The volumes that are kept equal to the pod's."""

    async def run(self) -> None:
        """Keep it running and watch it, until cancelled."""

    async def check(self, wanted: Wanted, agent: AgentLink) -> None:
        """ConfigurationError where *wanted*'s volumes can't be had; nothing is changed."""

    def differs(self, wanted: Wanted, facts: PodFacts) -> bool:
        """Whether *wanted* needs another container, port or volume than what there is."""

    def environment(self, facts: PodFacts) -> LocalEnvironment:
        """What the application has."""

    async def open(self, facts: PodFacts, turn: Turn) -> None:
        """Make the pod's network anew."""

    async def fill(self, agent: AgentLink, turn: Turn) -> None:
        """Copy the pod's volumes, or what changed in them since the last time."""

    async def refresh(self, agent: AgentLink, versions: Collection[str]) -> None:
        """Copy again what kubelet has written anew: whatever has none of *versions*."""

    async def replace(self, wanted: Wanted, facts: PodFacts, turn: Turn) -> None:
        """Make it as *wanted* says, up to what ``Starter.start`` starts."""

    async def stop(self, turn: Turn) -> None:
        """Nothing serves any more; what was made is kept."""

    def lead(self, pod: str, neighbours: tuple[Listener, ...]) -> None:
        """Outbound connections go through *pod* from now on; *neighbours* are its other containers."""

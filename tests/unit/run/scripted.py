"""The two sides of an attachment, scripted: the one place for a double, since what decides is tested here.

A scripted agent keeps what it was told and answers as the real one would; a scripted laptop keeps what was
done. Both write into one list, so that a test compares the order of a whole handover as text."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from dataclasses import replace
from typing import Any, cast

from devcluster.config.model import Mode, Order, Run
from devcluster.edge.agent.ssh import AgentLink, StrangerError
from devcluster.edge.lane.door import Door
from devcluster.edge.lane.ways import Ways
from devcluster.edge.lines import RefusedError
from devcluster.errors import FailedError
from devcluster.plan.handover import plan_handover
from devcluster.rules.agent.agent_pod import AgentPod
from devcluster.rules.agent.facts import Listener, PodFacts
from devcluster.rules.container.environment import LocalEnvironment, RewriteMade
from devcluster.run.attach.agent_link import Tenure
from devcluster.run.attach.attachment import Attachment
from devcluster.run.attach.sides import AgentSource, DriftSight, LocalSight, Starter
from devcluster.run.changes import Changes
from devcluster.run.site import Site
from devcluster.run.turn import Turn
from devcluster.run.volume.live_volumes import LiveVolumes
from devcluster.run.wanted.wanted import Wanted

Json = dict[str, Any]
FACTS = PodFacts((), ("/app",), "/", 0, 0, (), "web", "10.0.0.9", "", "")


class ScriptedAgent:
    """One pod's agent.  ``dead``: it is silent; ``worn``: its original can't start again, ``slow``: it takes
    for ever; ``let_end``: called when it need not stay; ``holder``: who else has it."""

    def __init__(self, name: str, did: list[str]) -> None:
        self.name = name
        self.lanes = 0
        self.route = "child"
        self.dead = False
        self.worn = False
        self.slow = False
        self.let_end: Callable[[], None] = lambda: None
        self.child = ""
        self.reason = ""
        self.holder: Json | None = None
        self.versions: tuple[str, ...] = ()
        self._did = did
        self._told: Callable[[Json], None] = lambda _: None
        self._cut = asyncio.Event()

    @property
    def heard(self) -> float:
        return 0.0 if self.dead else time.monotonic()

    @property
    def state(self) -> Json:
        epoch = 9 if self.holder else 1
        since = "2026-01-01T00:00:00Z"
        return {
            "epoch": epoch,
            "lanes": self.lanes,
            "route": self.route,
            "child": self.child,
            "reason": self.reason,
            "holder": self.holder,
            "since": since,
            "versions": list(self.versions),
        }

    async def call(self, do: str, **arguments: Any) -> Json:
        if self.dead:
            await asyncio.Event().wait()
        if self._cut.is_set():
            raise ConnectionError("cut off")
        if self.holder and do not in ("beat", "state"):
            text = f"held by {self.holder['user']}"
            raise RefusedError("held", text, {"holder": self.holder})
        if do == "release" and self.worn:
            self._did.append(f"{self.name} release fails")
            raise RefusedError("child-failed", "the application ended with 3", {"code": 3})
        if do == "stay" and arguments["ms"] == 0:
            self.let_end()
        if do == "release" and self.slow:
            await asyncio.Event().wait()
        if do not in ("hold", "beat"):
            self._did.append(f"{self.name} {do}")
        self.route = {"take": "laptop", "pause": "queue", "release": "child"}.get(do, self.route)
        return self.state

    async def inspect(self) -> PodFacts:
        return FACTS

    @contextlib.asynccontextmanager
    async def conversation(self, on_state: Callable[[Json], None]) -> AsyncIterator[AgentLink]:
        if self.dead:
            raise ConnectionError("nobody answers")
        self._told, self._cut = on_state, asyncio.Event()
        yield cast(AgentLink, self)

    def tell(self) -> None:
        """A state event, which nobody asked for."""
        self._told(self.state)

    def taken_by(self, user: str) -> None:
        """Another laptop claims it."""
        self.holder = {"user": user, "host": "desk"}
        self.tell()


class ScriptedCluster:
    """A ``ClusterSide``."""

    def __init__(self, did: list[str]) -> None:
        self.agents: dict[str, ScriptedAgent] = {}
        self.ways = Ways()
        self.refusal = ""
        self.strangers: set[str] = set()  # pods whose agent was installed by somebody else
        self.early = True
        self.lasting = False
        self.crash = ""
        self.deleted: Callable[[str], None] = lambda name: None
        self.former: list[str] = []  # pods without an agent, which end one after the other
        self._did = did
        self._pods: asyncio.Queue[tuple[AgentPod, ...]] = asyncio.Queue()
        self.drift: asyncio.Queue[DriftSight] = asyncio.Queue()

    def show(self, *names: str, ready: bool = True, ending: Collection[str] = ()) -> None:
        """These pods run an agent now."""
        for name in names:
            self.agents.setdefault(name, ScriptedAgent(name, self._did))
        pods = [
            AgentPod(name, f"uid-{name}", "10.0.0.1", "Running", ready=ready, ending=name in ending)
            for name in names
        ]
        self._pods.put_nowait(tuple(pods))

    async def watch_pods(self) -> AsyncGenerator[tuple[AgentPod, ...], None]:
        while True:
            yield await self._pods.get()

    async def watch_former(self) -> AsyncGenerator[frozenset[str], None]:
        yield frozenset(self.former)
        while self.former:
            self._did.append(f"{self.former.pop()} ends")
            yield frozenset(self.former)

    async def watch_drift(self) -> AsyncGenerator[DriftSight, None]:
        while True:
            yield await self.drift.get()

    @contextlib.asynccontextmanager
    async def open_agent(
        self, pod: str, on_state: Callable[[Json], None], *, timeout: float
    ) -> AsyncIterator[AgentLink]:
        if pod in self.strangers:
            raise StrangerError(f"the agent of pod {pod} was installed anew, with other keys")
        async with self.agents[pod].conversation(on_state) as link:
            yield link

    async def open_lane(self, pod: str, door: Door, name: str) -> asyncio.Future[None]:
        agent = self.agents[pod]
        agent.lanes += 1
        agent.tell()
        lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        return lost

    async def verify(self) -> None:
        if self.refusal:
            raise RefusedError("held", self.refusal, {})

    async def check_beside(self, container: str, ports: tuple[int, ...], weak: frozenset[str]) -> None:
        if self.crash:
            raise FailedError(self.crash)

    async def replace_pod(self, pod: AgentPod, *, grace: int | None) -> None:
        self._did.append(f"delete {pod.name}" + (" late" if grace else ""))
        self.deleted(pod.name)

    async def relinquish(self) -> None:
        self._did.append("record: nobody")

    def distrust(self, moment: float) -> None:
        self._did.append("distrust")


class ScriptedLocal:
    """A ``LocalSide``.  ``fails``: why it does not become healthy; ``by_hand``: its user starts it."""

    def __init__(self, did: list[str], changes: Changes) -> None:
        self.sight = LocalSight("devcluster-shop-web")
        self.volumes: tuple[dict[str, Any], ...] = ()
        self.rewrites: tuple[RewriteMade, ...] = ()
        self.door: Door | None = None
        self.live = LiveVolumes(cast(Site, None), "web", changes)  # none of them
        self.fails = ""
        self.engine = asyncio.Event()
        self.engine.set()
        self.again_fails = ""
        self.rested = asyncio.Event()  # the pause is over
        self.led = ""
        self.by_hand = False
        self._did = did
        self._changes = changes

    def become(self, **changed: Any) -> None:
        """Another sight, announced."""
        self.sight = replace(self.sight, **changed)
        self._changes.notify()

    @property
    def starter(self) -> Starter | None:
        return None if self.by_hand else self

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def check(self, wanted: Wanted, agent: AgentLink) -> None:
        self._did.append("laptop check")

    def differs(self, wanted: Wanted, facts: PodFacts) -> bool:
        return True

    def environment(self, facts: PodFacts) -> LocalEnvironment:
        return LocalEnvironment(facts.environment)

    async def open(self, facts: PodFacts, turn: Turn) -> None:
        self._did.append("laptop open")
        self.door = Door(1, "token", "docker logs devcluster-shop-web__gateway")
        self._changes.notify()

    async def fill(self, agent: AgentLink, turn: Turn) -> None:
        self._did.append("laptop fill")

    async def refresh(self, agent: AgentLink, versions: Collection[str]) -> None:
        self._did.append(f"laptop refresh by {cast(ScriptedAgent, agent).name}")
        self.become(versions=frozenset(versions))

    async def start(self, facts: PodFacts, turn: Turn) -> None:
        self._did.append("laptop start")
        if self.fails:
            raise FailedError(self.fails)
        self.become(container="c1", ended="", lanes=({"pod": "a", "rtt_ms": 1}, {"pod": "b", "rtt_ms": 1}))

    async def restart(self, turn: Turn) -> None:
        self._did.append("laptop restart")
        if self.again_fails:
            raise FailedError(self.again_fails)
        self.become(resting="")

    async def rest(self) -> None:
        self._did.append("laptop rest")
        await self.rested.wait()

    async def replace(self, wanted: Wanted, facts: PodFacts, turn: Turn) -> None:
        self._did.append("laptop replace")

    async def stop(self, turn: Turn) -> None:
        self._did.append("laptop stop")
        self.door = None
        self.become(container=None, ended="")

    async def recover(self, turn: Turn, agent: AgentSource) -> None:
        await self.engine.wait()
        self._did.append("laptop recover")
        self.become(outage="")

    def lead(self, pod: str, neighbours: tuple[Listener, ...]) -> None:
        self.led = pod


class _Wanted:
    """As much of a ``Wanted`` as an attachment reads."""

    def __init__(self, mode: Mode, order: Order, run: Run) -> None:
        self.handover = plan_handover(mode, order, "front", run)
        self.title = "deployment/web"
        self.replicas = 1
        self.install = _Install()
        self.workload = _Key()
        self.container: Json = {"name": "web"}
        self.pod_spec: Json = {"containers": [self.container]}
        self.object = _Object()


class _Install:
    ports = (9900, 47100)

    class observed:  # noqa: N801 - as a plan has it
        container = "web"
        weak: frozenset[str] = frozenset()


class _Key:
    key = "web"


class _Object:
    object: Json = {"metadata": {"name": "web", "namespace": "shop"}}  # noqa: RUF012


class Script:
    """An attachment between two scripted sides.  ``did``: what it did, in order."""

    def __init__(
        self,
        mode: Mode = "replace",
        order: Order = "start-first",
        lease: float = 15.0,
        run: Run = "container",
    ) -> None:
        self.did: list[str] = []
        self.changes = Changes()
        self.cluster = ScriptedCluster(self.did)
        self.local = ScriptedLocal(self.did, self.changes)
        self.local.by_hand = run == "host"
        self.wanted = cast(Wanted, _Wanted(mode, order, run))
        tenure = Tenure(1, {"user": "ann", "host": "laptop", "project": "shop"}, "", lease)
        self.attachment = Attachment(self.wanted, tenure, self.cluster, self.local, self.changes)

    @property
    def state(self) -> str:
        return self.attachment.truth.state

    async def until(self, state: str) -> None:
        """Asked again and again, since nobody announces silence."""
        while self.state != state:
            await asyncio.sleep(0.01)

    def forget(self) -> None:
        self.did.clear()


@contextlib.asynccontextmanager
async def attached(script: Script, *pods: str) -> AsyncIterator[Script]:
    """*script* with its attachment running, attached to *pods*, and what it did so far forgotten."""
    async with running_attachment(script):
        script.cluster.show(*pods or ("a",))
        await script.attachment.attach(Turn.of(5))
        script.forget()
        yield script


@contextlib.asynccontextmanager
async def running_attachment(script: Script) -> AsyncIterator[None]:
    async with asyncio.timeout(10):
        task = asyncio.create_task(script.attachment.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

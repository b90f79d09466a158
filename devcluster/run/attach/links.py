"""The agents of one workload: a link for each pod, as pods come and go, and what is said to all of them.

A pod that comes after the others were engaged is engaged as soon as it is held.  Pods that are ending keep
their link: we serve for them as long as somebody is sent to them, but nobody waits for them.

The laptop goes by one of them.  Where pods last (a StatefulSet), that is the one with the lowest number: its
name and its claims are the laptop's.  While it is away, outbound connections leave through another one, but
nothing else may be asked of that: the laptop would be ``web-0`` with the files of ``web-1``.
"""

from __future__ import annotations

import asyncio
import contextlib

from devcluster.edge.background import running
from devcluster.edge.lines import RefusedError
from devcluster.plan.handover import AgentRequest
from devcluster.rules.agent.agent_pod import AgentPod
from devcluster.rules.agent.facts import Listener
from devcluster.run.attach.agent_link import PodLink, Tenure
from devcluster.run.attach.sides import ClusterSide, LocalSide
from devcluster.run.changes import Changes


class Links:
    """See the module.  ``joins``: what every agent is told once a lane of it is up; None: they are
    only held."""

    def __init__(self, tenure: Tenure, cluster: ClusterSide, local: LocalSide, changes: Changes) -> None:
        self.joins: tuple[AgentRequest, ...] | None = None
        self._of: dict[str, PodLink] = {}  # by the pod's uid
        self._tenure = tenure
        self._cluster = cluster
        self._local = local
        self._changes = changes
        self._home = ""  # the name of the pod that the laptop goes by
        self._neighbours: tuple[Listener, ...] = ()
        self._closed = False

    def __bool__(self) -> bool:
        return bool(self._of)

    @property
    def staying(self) -> list[PodLink]:
        """Without the pods that are ending."""
        return [link for link in self._of.values() if not link.pod.ending]

    @property
    def all(self) -> list[PodLink]:
        """With the pods that end."""
        return list(self._of.values())

    @property
    def ending(self) -> list[PodLink]:
        """Those of pods that end and still serve by us."""
        return [link for link in self._of.values() if link.pod.ending and link.connected]

    @property
    def live(self) -> list[PodLink]:
        return [link for link in self.staying if not link.over]

    @property
    def held(self) -> list[PodLink]:
        return [link for link in self.staying if link.state in ("held", "attached")]

    @property
    def trouble(self) -> str:
        """Why agents are not held, by pod; '' where nothing is known."""
        return "; ".join(f"{it.pod.name}: {it.reason}" for it in self.staying if it.reason)

    @property
    def primary(self) -> str:
        """The pod that outbound connections leave through; it stays the same for as long as it is held; ''
        for none."""
        held = sorted((link.pod.name for link in self.held), key=_number)
        if not held or self._find_home(held) in held:
            return self._home
        return held[0]

    def _find_home(self, held: list[str]) -> str:
        lasting = self._cluster.lasting
        if not self._home or (not lasting and self._home not in held):
            names = [link.pod.name for link in self.staying] if lasting else held
            self._home = min(names, key=_number)
        return self._home

    @property
    def of_home(self) -> PodLink | None:
        """The link of the pod whose name and files are the laptop's; None while it is not held."""
        link = self.of_primary
        return link if link is not None and link.pod.name == self._home else None

    @property
    def source(self) -> tuple[str, int] | None:
        """That pod, and the number of our connection to it; None while it is not held."""
        link = self.of_home
        return None if link is None else (link.pod.name, link.opened)

    @property
    def of_primary(self) -> PodLink | None:
        """The primary pod's link."""
        return next((link for link in self.held if link.pod.name == self.primary), None)

    @property
    def neighbours(self) -> tuple[Listener, ...]:
        """Where the other containers of that pod listen, as last reported."""
        if (link := self.of_primary) is not None:
            self._neighbours = link.agent_state.neighbours
        return self._neighbours

    @property
    def versions(self) -> frozenset[str]:
        """What kubelet wrote last into that pod's volumes, as last reported; none while nothing is known."""
        link = self.of_primary
        return frozenset() if link is None else link.agent_state.versions

    @property
    def lost(self) -> str:
        """Who has taken one of them; '' while nobody has."""
        return next((link.reason for link in self._of.values() if link.state == "lost"), "")

    def follow(self, pods: tuple[AgentPod, ...], tasks: asyncio.TaskGroup) -> None:
        """A link for each of *pods*, and none for others; new ones run in *tasks*."""
        if self._closed:
            return
        ours = {pod.uid: pod for pod in pods if pod.ip and pod.phase == "Running"}
        for uid in self._of.keys() - ours.keys():
            self._of.pop(uid).forget()
        for uid, pod in ours.items():
            if uid in self._of:
                self._of[uid].pod = pod
            elif not pod.ending:
                link = PodLink(pod, self._tenure, self._cluster, self._local, self._changes)
                self._of[uid] = link
                tasks.create_task(self._hold(link), name=f"link {pod.name}")
        self._changes.notify()

    async def _hold(self, link: PodLink) -> None:
        """Links that exist when ``join`` is called are joined by it."""
        if self.joins is None:
            return await link.run()
        async with running(self._join(link, self.joins), name=f"join {link.pod.name}"):
            await link.run()

    async def _join(self, link: PodLink, requests: tuple[AgentRequest, ...]) -> None:
        with contextlib.suppress(ConnectionError, RefusedError, TimeoutError):  # the link says it again
            await link.join(requests)

    async def join(self, requests: tuple[AgentRequest, ...]) -> None:
        """Tell every agent *requests*, also those that come later; return when all of the present ones have
        done them."""
        self.joins = requests
        self._changes.notify()
        await asyncio.gather(*(link.join(requests) for link in self.live))

    def disengage(self) -> None:
        self.joins = None
        for link in self._of.values():
            link.disengage()

    def close(self) -> None:
        """Ask nothing of any agent any more, nor of those to come.  A link that is merely disengaged would
        hold again what was released, and the original would wait for us."""
        self._closed = True
        for link in self._of.values():
            link.let_go()
        self._of.clear()

    def give_up(self, reason: str) -> None:
        """Somebody else has taken one: two laptops never share a workload."""
        self.disengage()
        for link in self._of.values():
            link.give_up(reason)

    async def tell(
        self, *requests: str, timeout: float, tolerant: bool = False, unless: str = "", last: bool = False
    ) -> list[tuple[PodLink, BaseException]]:
        """The same requests to every agent, one after the other each, all agents at once.  What failed; with
        *tolerant* only those that are connected are asked, else the first failure is raised.  *unless*: a
        route; an agent that has it is not asked.  *last*: an agent that did so is let go."""

        async def ask(link: PodLink) -> None:
            async with asyncio.timeout(timeout):
                for request in requests:
                    await link.call(request)
            if last:
                link.let_go()

        links = [link for link in self.live if link.connected or not tolerant]
        links = [link for link in links if not unless or link.agent_state.route != unless]
        results = await asyncio.gather(*(ask(link) for link in links), return_exceptions=tolerant)
        both = zip(links, results, strict=True)
        return [(link, result) for link, result in both if isinstance(result, BaseException)]


def _number(pod: str) -> tuple[int, str]:
    """By which ``web-2`` comes before ``web-10``."""
    return len(pod), pod

"""The agents of one workload: a link for each pod, as pods come and go, and what is said to all of them.

A pod that came after the others were engaged is engaged as soon as it is held.  Pods that end keep their
link: they serve on by us for as long as somebody is sent to them, but nobody waits for them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from devcluster.edge.background import running
from devcluster.edge.lane.door import Door
from devcluster.edge.lines import RefusedError
from devcluster.plan.cluster import AgentPod
from devcluster.run.host.changes import Changes
from devcluster.run.host.podlink import Claim, PodLink, Wire


class Links:
    """See the module.  *on_change* hears of each link's changes; *changes* is notified by whoever hears."""

    def __init__(self, claim: Claim, wire: Wire, changes: Changes, on_change: Callable[[], None]) -> None:
        self.engaged = False
        self._of: dict[str, PodLink] = {}  # by the pod's uid
        self._claim = claim
        self._wire = wire
        self._changes = changes
        self._on_change = on_change
        self._door: Door | None = None
        self._closed = False

    def __bool__(self) -> bool:
        return bool(self._of)

    @property
    def staying(self) -> list[PodLink]:
        """Without the pods that end."""
        return [link for link in self._of.values() if not link.pod.ending]

    @property
    def live(self) -> list[PodLink]:
        return [link for link in self.staying if not link.over]

    @property
    def held(self) -> list[PodLink]:
        return [link for link in self.staying if link.state in ("held", "attached")]

    @property
    def lost(self) -> str:
        """Who has taken one of them; '' while nobody has."""
        return next((link.reason for link in self._of.values() if link.state == "lost"), "")

    def follow(self, pods: tuple[AgentPod, ...], tasks: asyncio.TaskGroup) -> None:
        """A link for each of *pods*, none for others; new ones live in *tasks*."""
        if self._closed:
            return
        ours = {pod.uid: pod for pod in pods if pod.ip and pod.phase == "Running"}
        for uid in self._of.keys() - ours.keys():
            self._of.pop(uid).forget()
        for uid, pod in ours.items():
            if uid in self._of:
                self._of[uid].pod = pod
            elif not pod.ending:
                link = self._of[uid] = PodLink(pod, self._claim, self._wire, self._on_change)
                link.open_door(self._door)
                tasks.create_task(self._hold(link), name=f"link {pod.name}")

    async def _hold(self, link: PodLink) -> None:
        async with running(self._join(link), name=f"join {link.pod.name}"):
            await link.run()

    async def _join(self, link: PodLink) -> None:
        await self._changes.until(lambda: self.engaged or link.over)
        with contextlib.suppress(ConnectionError, RefusedError, TimeoutError):  # the link says it again
            if self.engaged and link.state != "attached":
                await link.engage()

    async def engage(self) -> None:
        """All take the traffic to us."""
        await asyncio.gather(*(link.engage() for link in self.live))

    def disengage(self) -> None:
        self.engaged = False
        for link in self._of.values():
            link.disengage()

    def close(self) -> None:
        """Nothing is wished of any agent any more, of none to come either.  A link that is merely no longer
        engaged would hold again what was released, and the original would wait for us."""
        self._closed = True
        for link in self._of.values():
            link.let_go()
        self._of.clear()

    def give_up(self, reason: str) -> None:
        """Somebody else has taken one: of two laptops never both hold something."""
        self.disengage()
        for link in self._of.values():
            link.give_up(reason)

    def open_door(self, door: Door | None) -> None:
        """Where the lanes end from now on; None: nowhere."""
        self._door = door
        for link in self._of.values():
            link.open_door(door)

    async def tell(
        self, *requests: str, timeout: float, tolerant: bool = False, unless: str = "", last: bool = False
    ) -> list[BaseException]:
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
        links = [link for link in links if not unless or link.agent_state.get("route") != unless]
        results = await asyncio.gather(*(ask(link) for link in links), return_exceptions=tolerant)
        return [result for result in results if isinstance(result, BaseException)]

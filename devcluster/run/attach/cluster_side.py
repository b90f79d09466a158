"""The workload in the cluster, as an attachment sees it: pods, drift, agents, and the record that says that
it is ours."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager

from devcluster.edge.agent.ssh import AgentLink, Keys, open_agent
from devcluster.edge.kube.cluster import Cluster, UpgradeTarget
from devcluster.edge.kube.workload import WorkloadObject, watch_agent_pods
from devcluster.edge.lane.door import Door, open_lane
from devcluster.edge.lane.lanes import AgentAddress
from devcluster.edge.lane.ways import Ways
from devcluster.edge.lines import Json, RefusedError
from devcluster.errors import ChangedError, FailedError, NotFoundError
from devcluster.rules.advice.crashes import Crash, find_crashes
from devcluster.rules.agent.agent_pod import AgentPod
from devcluster.rules.kinds.pods import ends, of_side
from devcluster.rules.kinds.table import kind_of
from devcluster.run.attach.drift_watch import watch_drift
from devcluster.run.attach.sides import DriftSight
from devcluster.run.cluster.record import find_mark, held, relinquish
from devcluster.run.cluster.rollout import explain_crash

_SETTLED = 3.0  # seconds after which what was started again is taken to run on
_LOOK = 0.5  # seconds


class KubernetesSide:
    """A ``ClusterSide``.  *epoch*: the record's, while it is ours; *port*: the agents'."""

    def __init__(
        self, cluster: Cluster, workload: WorkloadObject, epoch: int, *, port: int, keys: Keys
    ) -> None:
        self._cluster = cluster
        self._workload = workload
        self._epoch = epoch
        self._port = port
        self._keys = keys
        self._ways = Ways()
        self._space = workload.ref.namespace

    @property
    def ways(self) -> Ways:
        return self._ways

    def watch_pods(self) -> AsyncGenerator[tuple[AgentPod, ...], None]:
        return watch_agent_pods(self._cluster, self._workload)

    async def watch_former(self) -> AsyncGenerator[frozenset[str], None]:
        states = self._cluster.watch_all("pod", self._space, selector=self._workload.selector)
        async with contextlib.aclosing(states):
            async for pods in states:
                yield frozenset(it["metadata"]["name"] for it in of_side(pods, wrapped=False) if ends(it))

    def watch_drift(self) -> AsyncGenerator[DriftSight, None]:
        return watch_drift(self._cluster, self._workload)

    def open_agent(
        self, pod: str, on_state: Callable[[Json], None], *, timeout: float
    ) -> AbstractAsyncContextManager[AgentLink]:
        return open_agent(
            self._ways, self._target, self._address(pod), self._keys, timeout=timeout, on_state=on_state
        )

    async def open_lane(self, pod: str, door: Door, name: str) -> asyncio.Future[None]:
        return await open_lane(self._ways, await self._target(), self._address(pod), door, name)

    async def verify(self) -> None:
        mark = await find_mark(self._cluster, self._workload.ref)
        if mark is not None and mark.record.epoch == self._epoch:
            return
        text = "somebody else handed it back" if mark else "somebody else removed its agent"
        if mark and mark.record.holder:
            text = held(mark.record).message
        raise RefusedError("held", text, {})

    async def check_beside(self, container: str, ports: tuple[int, ...], weak: frozenset[str]) -> None:
        """One that was started again is watched for a moment: it may end again."""
        runs: dict[Crash, float] = {}
        while True:
            pods = (await self._cluster.list("pod", self._space, selector=self._workload.selector)).items
            crashes = find_crashes(pods, container, weak)
            for crash in crashes:
                if crash.down:
                    hint = await explain_crash(self._cluster, pods, crash, ports)
                    raise FailedError(str(crash), hint=hint)
                runs.setdefault(crash, time.monotonic())
            if all(time.monotonic() - runs[crash] > _SETTLED for crash in crashes):
                return
            await asyncio.sleep(_LOOK)

    async def replace_pod(self, pod: AgentPod, *, grace: int | None) -> None:
        with contextlib.suppress(NotFoundError, ChangedError):  # it has been replaced
            await self._cluster.delete(
                "pod", pod.name, self._workload.ref.namespace, uid=pod.uid, grace=grace
            )

    @property
    def early(self) -> bool:
        return kind_of(self._workload.ref).early

    @property
    def lasting(self) -> bool:
        return kind_of(self._workload.ref).lasting

    async def relinquish(self) -> None:
        await relinquish(self._cluster, self._workload.ref, self._epoch)

    def distrust(self, moment: float) -> None:
        self._cluster.distrust(moment)

    def _address(self, pod: str) -> AgentAddress:
        return AgentAddress(self._workload.ref.namespace, pod, self._port)

    async def _target(self) -> UpgradeTarget:
        """Asked anew for each connection, since tokens expire."""
        return await self._cluster.upgrade_target()

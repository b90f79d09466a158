"""The workload in the cluster, as an attachment sees it: pods, drift, agents, and the record that says that
it is ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager

from devcluster.edge.agent.ssh import AgentLink, Keys, open_agent
from devcluster.edge.kube.cluster import Cluster, UpgradeTarget
from devcluster.edge.kube.workload import WorkloadObject, watch_agent_pods
from devcluster.edge.lane.door import Door, open_lane
from devcluster.edge.lane.lanes import AgentAddress
from devcluster.edge.lane.ways import Ways
from devcluster.edge.lines import Json, RefusedError
from devcluster.plan.agent_pod import AgentPod
from devcluster.run.attach.drift_watch import watch_drift
from devcluster.run.attach.sides import DriftSight
from devcluster.run.cluster.record import find_mark, held, relinquish


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

    @property
    def ways(self) -> Ways:
        return self._ways

    def watch_pods(self) -> AsyncGenerator[tuple[AgentPod, ...], None]:
        return watch_agent_pods(self._cluster, self._workload)

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

    async def relinquish(self) -> None:
        await relinquish(self._cluster, self._workload.ref, self._epoch)

    def distrust(self, moment: float) -> None:
        self._cluster.distrust(moment)

    def _address(self, pod: str) -> AgentAddress:
        return AgentAddress(self._workload.ref.namespace, pod, self._port)

    async def _target(self) -> UpgradeTarget:
        """Asked anew for each connection, since tokens expire."""
        return await self._cluster.upgrade_target()

"""The agent of a workload that nobody need hold: to ask what the pod has."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from devcluster.deadline import Deadline
from devcluster.edge.agent.ssh import AgentLink, Keys, open_agent
from devcluster.edge.kube.cluster import Cluster
from devcluster.edge.kube.workload import WorkloadObject, agent_pods
from devcluster.edge.lane.lanes import AgentAddress
from devcluster.edge.lane.ways import Ways
from devcluster.rules.cluster.marks import secret_file, secret_name
from devcluster.run.cluster.observe import parse_agent_settings

_OPEN = 15.0  # seconds for the conversation with it


@contextlib.asynccontextmanager
async def open_installed(
    cluster: Cluster, workload: WorkloadObject, deadline: Deadline
) -> AsyncIterator[AgentLink | None]:
    """The conversation with one of its agents; None where no pod runs one.  Raises ClusterError where it
    can't be reached."""
    pods = [pod for pod in await agent_pods(cluster, workload) if pod.phase == "Running"]
    if not pods:
        yield None
        return
    namespace = workload.ref.namespace
    secret = await cluster.get("secret", secret_name(workload.ref), namespace)
    keys = Keys(secret_file(secret, "laptop.key").encode(), secret_file(secret, "agent.pub"))
    port = parse_agent_settings(secret)["port"]  # the file may say another one by now
    address = AgentAddress(namespace, pods[0].name, port)
    async with open_agent(
        Ways(), cluster.upgrade_target, address, keys, timeout=deadline.part(_OPEN).left()
    ) as link:
        yield link

"""The agent's binary for the machine on which the pods run."""

from __future__ import annotations

import contextlib

from devcluster.edge.kube.agent import AgentBinary, load_binary
from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Cluster, Json
from devcluster.rules.cluster.architecture import ARCH, SHIPPED, Machine, choose_machine
from devcluster.rules.container.image import ImageFacts


async def read_machine(
    cluster: Cluster, spec: Json, pods: tuple[Json, ...], image: ImageFacts | None
) -> tuple[Machine, AgentBinary]:
    """*spec*: the pod's, without the agent.  ConfigurationError where no agent fits."""
    machine = choose_machine(
        spec,
        nodes=await _nodes(cluster),
        running=[pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")],
        image=image.architecture if image is not None else "",
        shipped=SHIPPED,
    )
    return machine, load_binary(machine.architecture)


async def _nodes(cluster: Cluster) -> dict[str, str]:
    """Architecture by name; {} where nodes may not be read, which no Role of a namespace allows."""
    with contextlib.suppress(ForbiddenError):
        items = (await cluster.list("node", metadata_only=True)).items
        named = {one["metadata"]["name"]: (one["metadata"].get("labels") or {}).get(ARCH) for one in items}
        return {name: architecture for name, architecture in named.items() if architecture}
    return {}

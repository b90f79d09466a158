"""The agent's binary in the cluster: chunks in immutable ConfigMaps, shared by the workloads of a namespace.

Their name is the content's hash, so a chunk that exists is compared and used, never written.  Each workload
that uses them is an owner.  The last one that leaves deletes them, with a precondition on what it read, so
that a workload that joins at the same moment is not cut off.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from devcluster.edge.kube.cluster import Cluster, Json
from devcluster.edge.kube.swap import Create, Delete, Patch, Write, swap
from devcluster.errors import ClusterError, FailedError
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.marks import MANAGED_BY, SELECTOR, chunk_name

CHUNK = 1_000_000  # a ConfigMap holds at most 1 MiB


@dataclass(frozen=True, slots=True)
class AgentBinary:
    """``digest``: first 12 hex digits of the SHA-256 of boot and agent joined."""

    digest: str
    boot: bytes = field(repr=False)
    agent: bytes = field(repr=False)

    @property
    def chunks(self) -> int:
        return -(-len(self.agent) // CHUNK)


def make_binary(boot: bytes, agent: bytes) -> AgentBinary:
    return AgentBinary(hashlib.sha256(boot + agent).hexdigest()[:12], boot, agent)


def load_binary(architecture: str = "amd64") -> AgentBinary:
    """The binary that is shipped with this package.  FailedError where it was not built."""
    folder = Path(__file__).parent.parent.parent / "binaries" / architecture
    try:
        return make_binary((folder / "boot").read_bytes(), (folder / "devcluster-agent").read_bytes())
    except FileNotFoundError as error:
        raise FailedError(
            f"the agent for {architecture} is not in this installation ({folder} is missing)",
            hint="from a checkout: python scripts/build_agent.py",
        ) from error


async def publish_agent(cluster: Cluster, namespace: str, binary: AgentBinary, owner: Json) -> None:
    """Make what is missing, and add *owner* (an ownerReference) to the owners."""
    publishing = []
    for index in range(binary.chunks):
        data = {f"a.{index:02}": base64.b64encode(binary.agent[index * CHUNK : (index + 1) * CHUNK]).decode()}
        if index == 0:
            data["boot"] = base64.b64encode(binary.boot).decode()
        publishing.append(_publish(cluster, namespace, chunk_name(binary.digest, index), data, owner))
    for outcome in await asyncio.gather(*publishing, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


async def _publish(cluster: Cluster, namespace: str, name: str, data: dict[str, str], owner: Json) -> None:
    metadata = {"name": name, "labels": {MANAGED_BY: "devcluster"}, "ownerReferences": [owner]}
    body = {"metadata": metadata, "binaryData": data, "immutable": True}

    def join(live: Json | None) -> Write | None:
        if live is None:
            return Create(body)
        if live.get("binaryData") != data or live.get("immutable") is not True:
            raise ClusterError(
                f"configmap/{name} in namespace {namespace} does not hold the agent",
                hint=f"kubectl delete configmap {name} -n {namespace}",
            )
        owners = live["metadata"].get("ownerReferences") or []
        if any(item["uid"] == owner["uid"] for item in owners):
            return None
        return _owned_by([*owners, owner])

    await swap(cluster, ("configmap", name, namespace), join)


def _owned_by(owners: list[Json]) -> Patch:
    return Patch({"metadata": {"ownerReferences": owners}})


async def list_owners(cluster: Cluster, namespace: str | None) -> tuple[WorkloadRef, ...]:
    """Each workload that uses a binary; *namespace* None: in all namespaces."""
    listing = await cluster.list("configmap", namespace, selector=SELECTOR, metadata_only=True)
    found = set()
    for item in listing.items:
        metadata = item["metadata"]
        for owner in metadata.get("ownerReferences") or []:
            found.add(WorkloadRef(owner["kind"].lower(), metadata["namespace"], owner["name"]))
    return tuple(sorted(found))


async def release_agent(cluster: Cluster, namespace: str, uid: str) -> None:
    """The workload with *uid* no longer uses a binary: delete those that nobody else uses."""
    listing = await cluster.list("configmap", namespace, selector=SELECTOR, metadata_only=True)
    for item in listing.items:
        name = item["metadata"]["name"]
        if name.startswith("devcluster-agent-"):
            await swap(cluster, ("configmap", name, namespace), lambda live: _part(live, uid), first=item)


def _part(live: Json | None, uid: str) -> Write | None:
    """Remove one owner; the last one takes the ConfigMap with it."""
    owners = (live["metadata"].get("ownerReferences") or []) if live is not None else []
    rest = [owner for owner in owners if owner["uid"] != uid]
    if rest == owners:
        return None
    return _owned_by(rest) if rest else Delete()

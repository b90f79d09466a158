"""What of ours is still in the namespace when the agent was taken out, and what then helps.

Only what is seen to be gone counts as gone: what may not be looked for is told as if it were there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Cluster, Json
from devcluster.rules.marks import SELECTOR
from devcluster.rules.template import is_wrapped

_MAPS = "the agent's ConfigMaps"


@dataclass(frozen=True, slots=True)
class Remaining:
    """``found``: as ``kind/name``, or in words where it may not be looked for, which ``refused`` tells."""

    found: tuple[str, ...]
    refused: tuple[ForbiddenError, ...]


async def find_remaining(cluster: Cluster, namespace: str, secret: str, uid: str) -> Remaining:
    """The Secret of this name, and the ConfigMaps and ReplicaSets of the workload *uid* ('': not known)."""

    def owned(item: Json) -> bool:
        owners = item["metadata"].get("ownerReferences") or []
        return bool(uid) and any(owner["uid"] == uid for owner in owners)

    async def secrets() -> list[str]:
        return [f"secret/{secret}"] if await cluster.find("secret", secret, namespace) is not None else []

    async def maps() -> list[str]:
        listing = await cluster.list("configmap", namespace, selector=SELECTOR, metadata_only=True)
        return [f"configmap/{item['metadata']['name']}" for item in listing.items if owned(item)]

    async def sets() -> list[str]:
        listing = await cluster.list("replicaset", namespace)
        return [
            f"replicaset/{item['metadata']['name']}"
            for item in listing.items
            if owned(item)
            and is_wrapped(item["spec"]["template"])
            and not item["metadata"].get("deletionTimestamp")
        ]

    found: list[str] = []
    refused: list[ForbiddenError] = []
    for look, unseen in ((secrets, f"secret/{secret}"), (maps, _MAPS), (sets, "our ReplicaSets")):
        try:
            found += await look()
        except ForbiddenError as error:
            found.append(unseen)
            refused.append(error)
    return Remaining(tuple(found), tuple(refused))


def render_remedy(namespace: str, found: Sequence[str], refused: Sequence[ForbiddenError]) -> str:
    """A line for each thing to do.  Where the Secret is gone, nobody but kubectl knows a release of ours any
    more; where the agent's ConfigMaps are gone and Secrets may not be listed, nobody knows the Secret."""
    if not refused:
        return f"`devcluster down -n {namespace}` tries again"
    hints = list(dict.fromkeys(error.hint for error in refused if error.hint))
    if lost := [one for one in sorted(found) if one.startswith(("replicaset/", "secret/"))]:
        hints.append(f"kubectl delete -n {namespace} {' '.join(lost)}")
    if any(one.startswith(("secret/", "configmap/", _MAPS)) for one in found):
        hints.append(f"then `devcluster down -n {namespace}` finishes it")
    return "\n".join(hints)

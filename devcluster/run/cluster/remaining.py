"""What devcluster has left in the namespace when the agent was removed, and what then helps.

Only what is seen to be gone counts as gone: what may not be looked for is reported as if it were there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Cluster
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.marks import SELECTOR, secret_name
from devcluster.rules.kinds.table import KINDS, kind_of
from devcluster.run.cluster.history import is_owned, list_releases

_MAPS = "the agent's ConfigMaps"


@dataclass(frozen=True, slots=True)
class Remaining:
    """``found``: as ``kind/name``, or in words where it may not be looked for, which ``refused`` tells."""

    found: tuple[str, ...]
    refused: tuple[ForbiddenError, ...]


async def find_remaining(cluster: Cluster, ref: WorkloadRef, uid: str) -> Remaining:
    """The workload's Secret, and the ConfigMaps and releases of *uid* ('': not known)."""
    namespace, secret, history = ref.namespace, secret_name(ref), kind_of(ref).history

    async def secrets() -> list[str]:
        return [f"secret/{secret}"] if await cluster.find("secret", secret, namespace) is not None else []

    async def maps() -> list[str]:
        listing = await cluster.list("configmap", namespace, selector=SELECTOR, metadata_only=True)
        return [f"configmap/{item['metadata']['name']}" for item in listing.items if is_owned(item, uid)]

    async def releases() -> list[str]:
        return [
            f"{history.resource}/{item['metadata']['name']}"
            for item in await list_releases(cluster, ref, uid)
            if history.wrapped(item) and not item["metadata"].get("deletionTimestamp")
        ]

    found: list[str] = []
    refused: list[ForbiddenError] = []
    for look, unseen in (
        (secrets, f"secret/{secret}"),
        (maps, _MAPS),
        (releases, f"devcluster's {history.title}"),
    ):
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
    ours = {"secret", *(row.history.resource for row in KINDS.values())}
    if lost := [one for one in sorted(found) if one.partition("/")[0] in ours and "/" in one]:
        hints.append(f"kubectl delete -n {namespace} {' '.join(lost)}")
    if any(one.startswith(("secret/", "configmap/", _MAPS)) for one in found):
        hints.append(f"then `devcluster down -n {namespace}` finishes it")
    return "\n".join(hints)

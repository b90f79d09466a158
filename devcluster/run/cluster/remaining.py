"""What devcluster has left in the namespace after the agent was removed, and what helps then.

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


@dataclass(frozen=True, slots=True, order=True)
class LeftObject:
    """An object that is still there; ``name`` '': any of its kind, which may not be looked for, so ``words``
    say what."""

    kind: str
    name: str = ""
    words: str = ""

    def __str__(self) -> str:
        return self.words or f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class Remaining:
    """``refused``: why something was not looked for."""

    found: tuple[LeftObject, ...]
    refused: tuple[ForbiddenError, ...]


async def find_remaining(cluster: Cluster, ref: WorkloadRef, uid: str) -> Remaining:
    """The workload's Secret, and the ConfigMaps and releases of *uid* ('': not known)."""
    namespace, secret, history = ref.namespace, secret_name(ref), kind_of(ref).history

    async def secrets() -> list[LeftObject]:
        there = await cluster.find("secret", secret, namespace) is not None
        return [LeftObject("secret", secret)] if there else []

    async def maps() -> list[LeftObject]:
        listing = await cluster.list("configmap", namespace, selector=SELECTOR, metadata_only=True)
        return [
            LeftObject("configmap", item["metadata"]["name"]) for item in listing.items if is_owned(item, uid)
        ]

    async def releases() -> list[LeftObject]:
        return [
            LeftObject(history.resource, item["metadata"]["name"])
            for item in await list_releases(cluster, ref, uid)
            if history.wrapped(item) and not item["metadata"].get("deletionTimestamp")
        ]

    found: list[LeftObject] = []
    refused: list[ForbiddenError] = []
    for look, unseen in (
        (secrets, LeftObject("secret", secret)),
        (maps, LeftObject("configmap", words="the agent's ConfigMaps")),
        (releases, LeftObject(history.resource, words=f"devcluster's {history.title}")),
    ):
        try:
            found += await look()
        except ForbiddenError as error:
            found.append(unseen)
            refused.append(error)
    return Remaining(tuple(found), tuple(refused))


def render_remedy(namespace: str, found: Sequence[LeftObject], refused: Sequence[ForbiddenError]) -> str:
    """A line for each thing to do.  If the Secret is gone, only kubectl can remove our releases; if the
    agent's ConfigMaps are gone and Secrets may not be listed, nobody can find the Secret."""
    if not refused:
        return f"`devcluster down -n {namespace}` tries again"
    hints = list(dict.fromkeys(error.hint for error in refused if error.hint))
    ours = {"secret", *(row.history.resource for row in KINDS.values())}
    if lost := [str(one) for one in sorted(found) if one.kind in ours and one.name]:
        hints.append(f"kubectl delete -n {namespace} {' '.join(lost)}")
    if any(one.kind in ("secret", "configmap") for one in found):
        hints.append(f"then `devcluster down -n {namespace}` finishes it")
    return "\n".join(hints)

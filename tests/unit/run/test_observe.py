"""What `up` reads of a namespace by the least Role."""

from __future__ import annotations

from typing import Any

from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.watch import Listing
from devcluster.edge.kube.workload import WorkloadObject
from devcluster.plan.install import Observed, plan_install
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.run.cluster.observe import observe
from tests.unit.plan.test_install import WISH, observed, service

Json = dict[str, Any]


class Cluster:
    """An API server that lists what it was given, and refuses the rest."""

    def __init__(self, **given: tuple[Json, ...]) -> None:
        self.given = given

    async def list(self, kind: str, namespace: str, **_: Any) -> Listing:
        if kind not in self.given:
            raise ForbiddenError(f"cannot list {kind}s")
        return Listing(self.given[kind], "1")

    async def find(self, kind: str, name: str, namespace: str) -> None:
        return None


def _pod(owner: str) -> Json:
    owners = [{"kind": "Any", "uid": owner, "controller": True}]
    return {"metadata": {"name": owner, "uid": owner, "labels": {"app": "web"}, "ownerReferences": owners}}


async def _seen(**given: tuple[Json, ...]) -> Observed:
    item = observed().object
    cluster: Any = Cluster(service=(service("number", 8080),), **given)
    return await observe(cluster, WorkloadObject(WorkloadRef("deployment", "shop", "web"), "u", "web", item))


async def _moves(**given: tuple[Json, ...]) -> list[str]:
    seen = await _seen(**given)
    return [move.service for move in plan_install(seen, WISH).moves]


async def test_a_service_that_a_statefulsets_pod_shares_is_not_patched() -> None:
    owners = [{"kind": "Deployment", "uid": "u", "controller": True}]
    ours = {"kind": "ReplicaSet", "metadata": {"uid": "r", "ownerReferences": owners}}
    made = {"deployment": (), "replicaset": (ours,)}
    assert await _moves(pod=(_pod("r"),), **made) == ["number"]
    assert await _moves(pod=(_pod("r"), _pod("set")), **made) == []


async def test_without_replicasets_our_own_pods_are_not_taken_for_others() -> None:
    """`up` is refused then; what it says must not be about Services."""
    assert await _moves(pod=(_pod("r"),)) == ["number"]

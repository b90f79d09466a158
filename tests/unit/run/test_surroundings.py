"""What can't be read is told apart from what is not there."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.config.model import Target, Workload
from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Cluster
from devcluster.edge.kube.paths import RESOURCES
from devcluster.edge.kube.watch import Listing
from devcluster.edge.kube.workload import WorkloadObject
from devcluster.errors import ClusterError, NotFoundError
from devcluster.plan.install import plan_install
from devcluster.run.doctor import find_unread
from devcluster.run.workload.surroundings import read_cautions
from tests.unit.plan.test_install import WISH, observed

BUILT_IN = ["horizontalpodautoscaler", "networkpolicy"]


class Answering:
    """An API server: *refused* kinds are forbidden, *absent* ones (by their path) not served."""

    def __init__(self, refused: str = "", absent: str = "") -> None:
        self.refused = refused.split()
        self.absent = absent.split()

    async def list(self, kind: str, namespace: str) -> Listing:
        if kind in self.refused:
            raise ForbiddenError(f"cannot list {kind}s")
        if kind in self.absent:
            raise NotFoundError(f"{kind}s does not exist")
        return Listing((), "1")

    async def may(self, verb: str, group: str, resource: str, namespace: str) -> bool:
        return resource not in [RESOURCES[kind].plural for kind in self.refused]

    async def serves(self, kind: str) -> bool:
        return kind not in self.absent


async def _unread(cluster: Any) -> list[str]:
    seen = observed()
    workload = WorkloadObject("deployment", "web", "shop", "u", "web", seen.object)
    plan, wish = plan_install(seen, WISH), Workload("web", Target("web"))
    _, unread = await read_cautions(cluster, workload, plan, (), wish)
    assert await find_unread(cluster, "shop") == unread  # doctor asks beforehand, and says the same
    return [it.kind for it in unread]


async def test_all_is_shown_or_not_there() -> None:
    assert await _unread(Answering()) == []
    assert await _unread(Answering(absent="verticalpodautoscaler scaledobject")) == []


async def test_what_is_refused_is_told_unless_the_cluster_has_no_such_kind() -> None:
    refused = "horizontalpodautoscaler verticalpodautoscaler scaledobject networkpolicy"
    assert await _unread(Answering(refused)) == refused.split()
    assert await _unread(Answering(refused, absent="verticalpodautoscaler scaledobject")) == BUILT_IN


class Discovery:
    """The transport: one answer to whatever is asked."""

    def __init__(self, answer: bytes | ClusterError) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def request(self, method: str, where: Any, verb: str, **_: Any) -> bytes:
        self.asked.append(f"{method} {where.path}")
        if isinstance(self.answer, ClusterError):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "served"),
    [
        (b'{"resources": [{"name": "scaledjobs"}, {"name": "scaledobjects"}]}', True),
        (b'{"resources": [{"name": "scaledjobs"}]}', False),
        (NotFoundError("no such group"), False),
        (ForbiddenError("cannot get /apis/keda.sh/v1alpha1"), True),
    ],
)
async def test_discovery_says_whether_there_is_such_a_kind(answer: Any, served: bool) -> None:
    transport: Any = Discovery(answer)
    context: Any = type("Context", (), {"name": "dev", "namespace": "shop"})
    assert await Cluster(transport, context).serves("scaledobject") == served
    assert transport.asked == ["GET /apis/keda.sh/v1alpha1"]

"""What is around a workload is read for the warnings, and nothing needs it."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.config.model import Target, Workload
from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.watch import Listing
from devcluster.edge.kube.workload import WorkloadObject
from devcluster.errors import NotFoundError
from devcluster.plan.install import plan_install
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.run.wanted.cautions import read_cautions
from tests.unit.plan.test_install import WISH, observed

SCALER: dict[str, Any] = {
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "it"},
    "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}},
}


class Answering:
    """An API server with one autoscaler; every kind of *refused* is forbidden, of *absent* not served."""

    def __init__(self, refused: str = "", absent: str = "") -> None:
        self.refused = refused.split()
        self.absent = absent.split()

    async def list(self, kind: str, namespace: str, *, fields: str = "") -> Listing:
        if kind in self.refused:
            raise ForbiddenError(f"cannot list {kind}s")
        if kind in self.absent:
            raise NotFoundError(f"{kind}s does not exist")
        return Listing((SCALER,) if kind == "horizontalpodautoscaler" else (), "1")


@pytest.mark.parametrize(
    ("cluster", "subjects"),
    [
        (Answering(), ["autoscaler"]),
        (Answering(absent="verticalpodautoscaler scaledobject"), ["autoscaler"]),
        (Answering(refused="networkpolicy scaledobject"), ["autoscaler"]),
        (Answering(refused="horizontalpodautoscaler"), []),
    ],
)
async def test_what_may_not_be_read_gives_no_warning(cluster: Any, subjects: list[str]) -> None:
    seen = observed()
    ref = WorkloadRef("deployment", "shop", "web")
    workload = WorkloadObject(ref, "u", "web", seen.object)
    plan, wish = plan_install(seen, WISH), Workload("web", Target("web"))
    assert [it.subject for it in await read_cautions(cluster, workload, plan, (), wish, (), ())] == subjects

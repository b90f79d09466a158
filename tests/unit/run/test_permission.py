"""What is missing for an `up` is named before anything is made, all of it at once."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.edge.kube.answer import ForbiddenError, StatusError
from devcluster.errors import ClusterError
from devcluster.plan.install import plan_install
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.rights import RIGHTS, required_for_up
from devcluster.rules.kinds.table import KINDS
from devcluster.run.cluster.permission import check_rights
from tests.unit.plan.test_install import WISH, installed, observed, service


class Reviewer:
    """An API server that grants all but *missing*; ``asked`` names objects, too."""

    def __init__(self, *missing: str, error: ClusterError | None = None) -> None:
        self.missing = missing
        self.error = error
        self.asked: set[str] = set()

    async def may(self, verb: str, group: str, resource: str, namespace: str, name: str) -> bool:
        if self.error is not None:
            raise self.error
        self.asked.add(f"{verb} {resource} {name}".strip())
        return f"{verb} {resource}" not in self.missing


SEEN = observed(service("number", 8080))


async def ask(reviewer: Any, seen: Any = SEEN) -> None:
    await check_rights(reviewer, plan_install(seen, WISH))


async def test_all_is_there() -> None:
    reviewer = Reviewer()
    await ask(reviewer)
    assert {"patch deployments web", "patch secrets devcluster-deployment-web", "patch services number"} <= (
        reviewer.asked
    )


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (["list pods"], "list pods"),
        (["list replicasets", "patch secrets"], "list replicasets, patch secrets"),
        (["patch services"], "patch services"),
        (["get pods/proxy", "get pods/portforward"], "get pods/proxy"),
    ],
)
async def test_what_is_missing_is_named(missing: list[str], words: str) -> None:
    with pytest.raises(ForbiddenError) as caught:
        await ask(Reviewer(*missing))
    assert caught.value.message == f"cannot {words} in namespace shop"
    assert "devcluster role" in caught.value.hint


async def test_what_is_not_needed_here_is_not_asked_for() -> None:
    await ask(Reviewer("get pods/proxy"))  # by port-forward, then
    await ask(Reviewer("list deployments", "watch deployments", "watch pods"))  # read again and again
    await ask(Reviewer("patch services"), observed(service("web", "http")))
    await ask(Reviewer("create configmaps"), installed(SEEN, WISH))


async def test_a_cluster_that_answers_no_such_question_is_tried() -> None:
    await ask(Reviewer(error=StatusError("no", status=500)))


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_in_the_role(kind: str) -> None:
    ref = WorkloadRef(kind, "shop", "web")
    assert len(required_for_up(ref, "secret", ["a"])) == 12
    assert {it.right for it in required_for_up(ref, "secret", ["a"])} <= set(RIGHTS)

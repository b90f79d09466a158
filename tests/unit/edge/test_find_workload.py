"""Which workload a target means, and why others can have no agent."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.config.model import Target
from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Listing
from devcluster.edge.kube.workload import find_workload, list_all
from devcluster.errors import ConfigurationError

Json = dict[str, Any]


def item(kind: str, name: str, owner: tuple[str, str] | None = None, **spec: Any) -> Json:
    references = [{"kind": owner[0], "name": owner[1], "controller": True}] if owner else []
    metadata = {"name": name, "uid": f"{kind}-{name}", "ownerReferences": references, "generation": 1}
    template = {"spec": {"containers": [{"name": "main"}]}}
    return {"kind": kind, "metadata": metadata, "spec": {"template": template, "replicas": 1} | spec}


class Namespace:
    """Objects by (kind, name); *forbidden* kinds may not be read."""

    context = "test"

    def __init__(self, *items: Json, forbidden: tuple[str, ...] = ()) -> None:
        self.items = {(one["kind"].lower(), one["metadata"]["name"]): one for one in items}
        self.forbidden = forbidden

    def _check(self, kind: str) -> None:
        if kind in self.forbidden:
            raise ForbiddenError(f"cannot get {kind}s")

    async def find(self, kind: str, name: str, namespace: str) -> Json | None:
        self._check(kind)
        return self.items.get((kind, name))

    async def get(self, kind: str, name: str) -> Json:
        return {}

    async def list(self, kind: str, namespace: str) -> Listing:
        self._check(kind)
        return Listing(tuple(one for (other, _), one in self.items.items() if other == kind), "1")


async def found(target: Target, *items: Json, forbidden: tuple[str, ...] = ()) -> str:
    cluster: Any = Namespace(*items, forbidden=forbidden)
    workload = await find_workload(cluster, target, "shop")
    return f"{workload.ref}/{workload.container}"


async def refused(target: Target, *items: Json) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        await found(target, *items)
    return caught.value


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
async def test_each_kind_is_found_by_its_name(kind: str) -> None:
    one = item(kind, "web")
    one["status"] = {"observedGeneration": 0}
    assert await found(Target("web"), one) == f"{kind.lower()}/web/main"


async def test_two_of_one_name_are_told_apart_by_their_kind() -> None:
    both = (item("Deployment", "web"), item("StatefulSet", "web"))
    error = await refused(Target("web"), *both)
    assert error.message == "web may mean deployment/web, statefulset/web in namespace shop"
    assert error.hint == "say which: `target: deployment/web`"
    assert await found(Target("web", "statefulset"), *both) == "statefulset/web/main"


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("Pod", "is a Pod of its own"),
        ("ReplicaSet", "is a ReplicaSet"),
        ("Job", "is a Job"),
        ("CronJob", "is a CronJob"),
        ("ReplicationController", "is a ReplicationController"),
    ],
)
async def test_what_can_have_no_agent(kind: str, why: str) -> None:
    error = await refused(Target("web"), item(kind, "web"))
    assert error.message.startswith(f"{kind.lower()}/web in namespace shop {why}: ")
    assert error.hint == "devcluster replaces Deployments, StatefulSets and DaemonSets; make one of it"


async def test_what_belongs_to_another_one_names_it() -> None:
    owned = (
        item("Pod", "web-abc-1", ("ReplicaSet", "web-abc")),
        item("ReplicaSet", "web-abc", ("Deployment", "web")),
        item("Pod", "db-0", ("StatefulSet", "db")),
    )
    error = await refused(Target("web-abc-1"), *owned)
    assert error.message == "pod/web-abc-1 in namespace shop belongs to deployment/web"
    assert error.hint == "write `target: deployment/web`"
    assert (await refused(Target("db-0"), *owned)).hint == "write `target: statefulset/db`"


async def test_what_makes_it_is_named_also_where_that_can_have_no_agent() -> None:
    error = await refused(Target("web"), item("Pod", "web", ("Rollout", "web")))
    assert error.message == (
        "pod/web in namespace shop belongs to rollout/web, which alone decides what its pods are"
    )
    error = await refused(Target("a"), item("Pod", "a", ("Job", "b")), item("Job", "b"))
    assert error.message.startswith("pod/a in namespace shop belongs to job/b, which is a Job: ")


async def test_every_near_name_is_told() -> None:
    error = await refused(Target("wep"), item("Deployment", "web"), item("StatefulSet", "web"))
    assert error.hint == "did you mean deployment/web or statefulset/web?"


async def test_a_pod_beside_a_workload_of_its_name_is_not_meant() -> None:
    assert await found(Target("web"), item("Deployment", "web"), item("Pod", "web")) == "deployment/web/main"


async def test_no_pod_to_stand_in_for() -> None:
    error = await refused(Target("web"), item("StatefulSet", "web", replicas=0))
    assert error.hint == "kubectl scale --replicas=1 statefulset/web -n shop"


async def test_a_role_for_one_kind_is_enough() -> None:
    others = ("statefulset", "daemonset", "replicaset", "replicationcontroller", "pod", "job", "cronjob")
    assert await found(Target("web"), item("Deployment", "web"), forbidden=others) == "deployment/web/main"
    with pytest.raises(ForbiddenError, match="cannot get statefulsets"):
        await found(Target("web"), forbidden=others)
    cluster: Any = Namespace(item("Deployment", "web"), forbidden=others)
    assert [str(ref) for ref, _ in await list_all(cluster, "shop")] == ["deployment/web"]
    nothing: Any = Namespace(forbidden=("deployment", *others))
    with pytest.raises(ForbiddenError, match="cannot get deployments"):
        await list_all(nothing, "shop")


async def test_one_pod_of_a_stateful_set_is_not_built_yet() -> None:
    with pytest.raises(ConfigurationError) as caught:
        await found(Target("db-0", "statefulset"), item("StatefulSet", "db"))
    assert caught.value.message == (
        "statefulset/db-0 is one pod of statefulset/db: a single ordinal is not built yet"
    )
    assert caught.value.hint == "write `target: statefulset/db`"


async def test_a_stateful_set_whose_name_ends_in_a_number_is_itself() -> None:
    named = item("StatefulSet", "db-0")
    assert (
        await found(Target("db-0", "statefulset"), named, item("StatefulSet", "db"))
        == "statefulset/db-0/main"
    )

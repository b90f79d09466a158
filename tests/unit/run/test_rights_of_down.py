"""What `down` does where a right is missing: as much as it may, and it says what stays."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.watch import Listing
from devcluster.errors import LeftoverError, RemainsError
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.keys import KeyPair
from devcluster.rules.cluster.marks import Originals, Record, render_secret
from devcluster.run.cluster.record import list_marks
from devcluster.run.cluster.remaining import LeftObject, render_remedy
from devcluster.run.cluster.remove import remove
from devcluster.run.cluster.traces import find_traces
from devcluster.run.report import Progress
from devcluster.run.turn import Turn

Json = dict[str, Any]
TEMPLATE: Json = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web"}]}}
WRAPPED = TEMPLATE | {"spec": TEMPLATE["spec"] | {"volumes": [{"name": "devcluster-bin"}]}}
REF = WorkloadRef("deployment", "shop", "web")
ORIGINALS = Originals(REF, "u", "web", TEMPLATE, WRAPPED, 10, 20, "1", {"web-1": ("1", "")})
PAIR = KeyPair("private", "public")
SECRET = render_secret(ORIGINALS, settings={}, agent=PAIR, laptop=PAIR, owner={}, record=Record(3))
SECRET["metadata"] |= {"namespace": "shop", "resourceVersion": "7"}
WEB: Json = {
    "metadata": {"name": "web", "namespace": "shop", "uid": "u", "generation": 1, "resourceVersion": "5"},
    "spec": {"replicas": 0, "selector": {}, "revisionHistoryLimit": 20, "template": TEMPLATE},
    "status": {"observedGeneration": 1},
}


def owned(name: str, revision: str, template: Json) -> Json:
    notes = {"deployment.kubernetes.io/revision": revision}
    metadata = {"name": name, "namespace": "shop", "uid": name, "resourceVersion": "6", "annotations": notes}
    return {
        "metadata": metadata | {"ownerReferences": [{"uid": "u", "kind": "Deployment", "name": "web"}]},
        "spec": {"template": template, "replicas": 0},
    }


class Limited:
    """A namespace with one installation whose template was restored already; *forbidden*: ``verb kind``."""

    def __init__(self, *forbidden: str) -> None:
        self.forbidden = forbidden
        self.secret: Json | None = SECRET
        self.sets = [owned("web-2", "2", WRAPPED), owned("web-1", "3", TEMPLATE)]
        self.maps = [owned("devcluster-agent-0-00", "", TEMPLATE)]
        self.patched: list[str] = []

    def _check(self, verb: str, kind: str) -> None:
        if f"{verb} {kind}" in self.forbidden:
            raise ForbiddenError(f"cannot {verb} {kind}s in namespace shop", hint="`devcluster role`")

    async def find(self, kind: str, name: str, namespace: str) -> Json | None:
        self._check("get", kind)
        return {"secret": self.secret, "deployment": WEB}.get(kind)

    async def get(self, kind: str, name: str, namespace: str) -> Json:
        return WEB

    async def list(self, kind: str, namespace: str, **_: Any) -> Listing:
        self._check("list", kind)
        secrets = [self.secret] if self.secret else []
        found = {"secret": secrets, "replicaset": self.sets, "configmap": self.maps}
        return Listing(tuple(found.get(kind, ())), "1")

    async def delete(self, kind: str, name: str, namespace: str, **preconditions: str) -> None:
        self._check("delete", kind)
        if kind == "secret":
            assert preconditions == {"resource_version": "7"}
            self.secret = None
        self.sets = [item for item in self.sets if item["metadata"]["name"] != name]
        self.maps = [item for item in self.maps if item["metadata"]["name"] != name]

    async def patch(self, kind: str, name: str, namespace: str, body: Any, **_: Any) -> Json:
        self._check("patch", kind)
        self.patched.append(f"{kind}/{name} {json.dumps(body)}")
        return WEB

    def left(self) -> Any:
        kept = ["limit"] if not any("revisionHistoryLimit" in one for one in self.patched) else []
        kept += ["numbers"] if not any("replicaset/web-1" in one for one in self.patched) else []
        secrets = (self.secret,) if self.secret else ()
        return [*kept, *(item["metadata"]["name"] for item in (*secrets, *self.maps, *self.sets[:-1]))]

    async def watch_one(self, kind: str, name: str, namespace: str) -> AsyncGenerator[Json, None]:
        self._check("get", kind)
        yield WEB

    async def watch_all(self, kind: str, *_: Any, **__: Any) -> AsyncGenerator[tuple[Json, ...], None]:
        self._check("list", kind)
        yield ()


async def down(cluster: Any) -> None:
    await remove(cluster, REF, Turn.of(5))


async def test_nothing_stays() -> None:
    cluster = Limited()
    await down(cluster)
    assert cluster.left() == []


_NUMBERS = "the numbers in the history of deployment/web"


@pytest.mark.parametrize(
    ("forbidden", "left", "named", "finishes"),
    [
        ("patch replicaset", ["numbers"], [_NUMBERS], ""),
        (
            "delete replicaset",
            ["numbers", "web-2"],
            ["replicaset/web-2", _NUMBERS],
            "kubectl delete -n shop replicaset/web-2",
        ),
        ("list replicaset", ["numbers", "web-2"], ["devcluster's ReplicaSets", _NUMBERS], ""),
        (
            "delete secret",
            ["devcluster-deployment-web"],
            ["secret/devcluster-deployment-web"],
            "kubectl delete -n shop secret/devcluster-deployment-web",
        ),
        (
            "delete configmap",
            ["devcluster-agent-0-00"],
            ["configmap/devcluster-agent-0-00"],
            "devcluster down -n shop",
        ),
        ("list configmap", ["devcluster-agent-0-00"], ["the agent's ConfigMaps"], "devcluster down -n shop"),
    ],
)
async def test_what_may_not_be_undone_is_left_and_named_and_nothing_else(
    forbidden: str, left: list[str], named: list[str], finishes: str
) -> None:
    cluster = Limited(forbidden)
    with pytest.raises(RemainsError) as caught:
        await down(cluster)
    assert cluster.left() == left
    words = f"left over in namespace shop: {', '.join(named)}; cannot {forbidden}s in namespace shop"
    assert caught.value.message == words
    assert "devcluster role" in caught.value.hint
    assert finishes in caught.value.hint


@pytest.mark.parametrize(("key", "subject"), [("front", "front"), ("", "deployment/web")])
async def test_all_progress_of_a_workload_has_one_subject(key: str, subject: str) -> None:
    """Two workloads of one name and other kinds must not print the same."""
    told: list[Progress] = []
    cluster: Any = Limited()
    await remove(cluster, REF, Turn.of(5, told.append), key)
    assert told
    assert {it.subject for it in told} == {subject}


WANTED, MAPS, SETS = (
    LeftObject("secret", "s"),
    LeftObject("configmap", words="some"),
    LeftObject("replicaset", "web-2"),
)
REFUSED = ForbiddenError("cannot delete secrets", hint="role")


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        ([WANTED], ["role", "kubectl delete -n shop secret/s", "then `devcluster down -n shop` finishes it"]),
        ([MAPS], ["role", "then `devcluster down -n shop` finishes it"]),
        ([SETS], ["role", "kubectl delete -n shop replicaset/web-2"]),
        ([LeftObject("replicaset", words="secret/of words alone")], ["role"]),  # words decide nothing
    ],
)
def test_what_helps_is_a_matter_of_what_was_found(found: list[LeftObject], lines: list[str]) -> None:
    assert render_remedy("shop", found, [REFUSED]).splitlines() == lines


async def test_nothing_goes_while_its_pods_may_run() -> None:
    cluster = Limited("list pod")
    with pytest.raises(
        LeftoverError, match="is restored, but the next step failed: cannot list pods"
    ) as caught:
        await down(cluster)
    assert not isinstance(caught.value, RemainsError)
    assert cluster.left() == [
        "limit",
        "numbers",
        "devcluster-deployment-web",
        "devcluster-agent-0-00",
        "web-2",
    ]


async def test_the_secret_stays_while_it_alone_knows_a_number_of_ours() -> None:
    """Somebody had restored the template, so that the limit is the first thing that may not be written."""
    cluster = Limited("patch deployment")
    with pytest.raises(LeftoverError, match="cannot patch deployments"):
        await down(cluster)
    assert cluster.left() == ["limit", "devcluster-deployment-web", "devcluster-agent-0-00"]


async def test_who_may_not_even_begin_is_told_so() -> None:
    with pytest.raises(ForbiddenError):
        await down(Limited("get secret"))


async def test_a_secret_that_somebody_uses_again_stays() -> None:
    class Busy(Limited):
        async def list(self, kind: str, namespace: str, **words: Any) -> Listing:
            if kind == "replicaset":  # the last but one step
                text = render_secret(
                    ORIGINALS, settings={}, agent=PAIR, laptop=PAIR, owner={}, record=Record(4)
                )
                self.secret = SECRET | {"data": text["data"]}
            return await super().list(kind, namespace, **words)

    cluster = Busy()
    with pytest.raises(LeftoverError, match="somebody else is putting an agent into deployment/web"):
        await down(cluster)
    assert cluster.secret is not None


@pytest.mark.parametrize("forbidden", [(), ("list configmap", "list deployment", "list service")])
async def test_the_secrets_alone_tell_what_is_there(forbidden: tuple[str, ...]) -> None:
    cluster: Any = Limited(*forbidden)
    assert [str(trace.ref) for trace in await find_traces(cluster, "shop")] == ["deployment/web"]


async def test_the_owners_of_configmaps_tell_what_secrets_there_are() -> None:
    cluster: Any = Limited("list secret")
    (trace,) = await find_traces(cluster, "shop")
    (mark,) = await list_marks(cluster, "shop")
    assert (trace.ref, mark.ref, mark.record.epoch) == (REF, REF, 3)
    cluster.secret = None
    assert await list_marks(cluster, "shop") == ()


async def test_without_secrets_and_configmaps_nothing_is_known() -> None:
    cluster: Any = Limited("list secret", "list configmap")
    with pytest.raises(ForbiddenError, match="cannot list secrets"):
        await find_traces(cluster, "shop")

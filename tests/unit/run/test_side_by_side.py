"""A Deployment and a StatefulSet of one name, both with an agent: neither is ever taken for the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from devcluster.config.model import Project, Target, Workload
from devcluster.edge.kube.cluster import Listing
from devcluster.errors import ConfigurationError
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.keys import KeyPair
from devcluster.rules.cluster.marks import Holder, Originals, Record, render_secret
from devcluster.run.cluster.holders import own_holder
from devcluster.run.cluster.record import dropped, find_mark, list_marks
from devcluster.run.cluster.traces import Trace, find_traces
from devcluster.run.commands import selection, status
from devcluster.run.place import place_of
from devcluster.run.request import Request

Json = dict[str, Any]
DEPLOYED, STATEFUL = (WorkloadRef(kind, "shop", "web") for kind in ("deployment", "statefulset"))
ANN, BOB = Holder("ann", "laptop", "shop"), Holder("bob", "desk", "shop")
TEMPLATE: Json = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web"}]}}
PAIR = KeyPair("private", "public")


def secret(ref: WorkloadRef, record: Record) -> Json:
    originals = Originals(ref, ref.kind, "web", TEMPLATE, TEMPLATE, 10, 20, "1")
    return render_secret(originals, settings={}, agent=PAIR, laptop=PAIR, owner={}, record=record)


class Both:
    """The Deployment is Ann's, the StatefulSet Bob's."""

    def __init__(self, *living: WorkloadRef) -> None:
        self.context, self.namespace = "test", "shop"
        self.living = {ref.path for ref in living}
        both = (secret(DEPLOYED, Record(1, ANN, "T")), secret(STATEFUL, Record(2, BOB, "T")))
        self.secrets = {item["metadata"]["name"]: item for item in both}

    async def list(self, kind: str, namespace: str | None = None, **_: Any) -> Listing:
        return Listing(tuple(self.secrets.values()) if kind == "secret" else (), "1")

    async def find(self, kind: str, name: str, namespace: str) -> Json | None:
        if kind == "secret":
            return self.secrets.get(name)
        return {"metadata": {}} if (kind, name, namespace) in self.living else None


async def marks_of(cluster: Any) -> dict[str, str]:
    return {str(mark.ref): str(mark.record.holder) for mark in await list_marks(cluster, "shop")}


async def test_marks_and_traces() -> None:
    cluster: Any = Both()
    expected = {"deployment/web": "ann@laptop", "statefulset/web": "bob@desk"}
    assert await marks_of(cluster) == expected
    traces = await find_traces(cluster, "shop")
    assert {str(trace.ref): str(trace.record.holder) for trace in traces} == expected
    mark = await find_mark(cluster, STATEFUL)
    assert mark is not None
    assert (mark.ref, mark.uid) == (STATEFUL, "statefulset")


@pytest.mark.parametrize(
    ("target", "attached", "gone"),
    [
        (None, (), [DEPLOYED]),
        (Target("web", "deployment"), (), []),
        (Target("web", "statefulset"), (), [DEPLOYED]),
        (Target("web"), (), []),
        (None, (STATEFUL,), [DEPLOYED]),
        (None, (DEPLOYED,), []),
    ],
)
async def test_what_was_taken_out_of_the_file(
    target: Target | None, attached: tuple[WorkloadRef, ...], gone: list[WorkloadRef]
) -> None:
    cluster: Any = Both()
    project = Project("shop", workloads=() if target is None else (Workload("web", target),))
    marks = await list_marks(cluster, "shop")
    assert [mark.ref for mark in dropped(marks, project, ANN, attached)] == gone


@pytest.mark.parametrize(
    ("live", "target", "holder"),
    [
        (DEPLOYED, Target("web"), "ann@laptop"),
        (STATEFUL, Target("web"), "bob@desk"),
        (None, Target("web", "statefulset"), "bob@desk"),
        (None, Target("web"), ""),
        (WorkloadRef("daemonset", "shop", "web"), Target("web", "daemonset"), ""),
    ],
)
async def test_status_shows_its_own_mark(live: WorkloadRef | None, target: Target, holder: str) -> None:
    cluster: Any = Both()
    marks = {mark.ref: mark for mark in await list_marks(cluster, "shop")}
    mark = status.mark_of(target, live, marks)
    assert (str(mark.record.holder) if mark else "") == holder


async def test_status_asks_the_mark_of_what_was_lost() -> None:
    cluster: Any = Both()
    marks = {mark.ref: mark for mark in await list_marks(cluster, "shop")}
    row = {"state": "held", "target": "statefulset/web/web", "reason": ""}
    assert status.truly(row, marks, "shop")["holder"]["user"] == "bob"


def asked(*only: str, target: Target | None = None, environ: Any) -> Request:
    file = Project("shop", workloads=(Workload("web", target),)) if target is not None else None
    return Request(file, None, "shop", only, environ=environ)


@pytest.mark.parametrize(
    ("only", "target", "told", "meant"),
    [
        ((), None, None, [DEPLOYED, STATEFUL]),
        (("statefulset/web",), None, None, [STATEFUL]),
        ((), Target("web", "statefulset"), None, [DEPLOYED, STATEFUL]),  # the first is ours, and not in it
        (("web",), Target("web", "statefulset"), None, [STATEFUL]),
        ((), Target("web"), None, [DEPLOYED]),
        (("web",), Target("web"), STATEFUL, [STATEFUL]),  # a host process knows what its key means
    ],
)
async def test_what_down_means(
    only: tuple[str, ...],
    target: Target | None,
    told: WorkloadRef | None,
    meant: list[WorkloadRef],
    tmp_path: Any,
) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    cluster: Any = Both(DEPLOYED, STATEFUL)
    request = asked(*only, target=target, environ=environ)
    ours = own_holder(place_of("test", "shop", "shop", environ))
    traces = tuple(
        replace(trace, record=Record(1, ours, "T")) if trace.ref == DEPLOYED else trace
        for trace in await find_traces(cluster, "shop")
    )
    done = {("web", "shop"): told} if told is not None else {}
    found = await selection.find_meant_traces(request, cluster, False, traces, done)
    assert [trace.ref for trace in found] == meant


async def test_a_trace_of_the_other_kind_alone_is_not_meant_by_a_bare_name(tmp_path: Any) -> None:
    """Ours is put back already; what stays of the name is somebody else's."""
    cluster: Any = Both(DEPLOYED, STATEFUL)
    request = asked(target=Target("web"), environ={"XDG_STATE_HOME": str(tmp_path)})
    rest = (Trace(STATEFUL, Record()),)
    assert await selection.find_meant_traces(request, cluster, False, rest, {}) == []
    alone: Any = Both(STATEFUL)
    assert await selection.find_meant_traces(request, alone, False, rest, {}) == list(rest)


async def test_a_name_of_two_is_asked_for_its_kind(tmp_path: Any) -> None:
    cluster: Any = Both()
    request = asked("web", environ={"XDG_STATE_HOME": str(tmp_path)})
    with pytest.raises(ConfigurationError, match="web may mean deployment/web or statefulset/web") as caught:
        await selection.find_unknown(request, cluster, (), False)
    assert caught.value.hint == "say which: `devcluster down deployment/web`"


KNOWN = {"set": STATEFUL, "web": DEPLOYED, "front": WorkloadRef("daemonset", "shop", "edge")}


@pytest.mark.parametrize(
    ("names", "keys"),
    [
        ((), ()),
        (("web",), ("web",)),
        (("deployment/web",), ("deployment/web", "web")),
        (("statefulset/web",), ("set", "statefulset/web")),
        (("daemonset/web",), ("daemonset/web",)),  # `web` is another workload's key
        (("edge",), ("edge", "front")),
        (("deployment/api",), ("api", "deployment/api")),  # of another state folder, say
    ],
)
def test_what_is_on_the_laptop_goes_by_the_key(names: tuple[str, ...], keys: tuple[str, ...]) -> None:
    assert selection.find_meant_keys(names, KNOWN) == keys

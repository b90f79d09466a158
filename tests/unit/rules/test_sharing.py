"""Whose pods count as others', by who made them and not by their labels."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.rules.cluster.sharing import other_labels

Json = dict[str, Any]
LABELS = {"app": "web"}


def made_by(kind: str, uid: str) -> Json:
    return {"ownerReferences": [{"kind": kind, "uid": uid, "controller": True}]}


def pod(owner: Json | None = None, **metadata: Any) -> Json:
    return {"metadata": {"uid": "p", "labels": LABELS} | (owner or {}) | metadata}


def workload(kind: str, uid: str, owner: Json | None = None, **changes: Any) -> Json:
    template = {"metadata": {"labels": LABELS | {"of": uid}}}
    return {"kind": kind, "metadata": {"uid": uid} | (owner or {}), "spec": {"template": template}} | changes


WEB = workload("Deployment", "web")
OLD, NEW = (workload("ReplicaSet", uid, made_by("Deployment", "web")) for uid in ("old", "new"))


def test_our_own_pods_are_those_of_our_replicasets() -> None:
    pods = [pod(made_by("ReplicaSet", "old")), pod(made_by("ReplicaSet", "new"))]
    assert other_labels("web", pods, [WEB, OLD, NEW]) == ()
    assert other_labels("set", [pod(made_by("StatefulSet", "set"))], [workload("StatefulSet", "set")]) == ()


@pytest.mark.parametrize(
    "owner",
    [None, *(made_by(kind, "x") for kind in ("ReplicaSet", "StatefulSet", "DaemonSet", "Job", "Unheard"))],
    ids=str,
)
def test_any_other_pod_is_somebody_elses_though_nothing_but_pods_can_be_listed(owner: Json | None) -> None:
    assert other_labels("web", [pod(owner)], [WEB, OLD, NEW]) == (LABELS,)


def test_an_owner_that_does_not_control_makes_no_pod_ours() -> None:
    owner = {"ownerReferences": [{"kind": "ReplicaSet", "uid": "new"}]}
    assert other_labels("web", [pod(owner)], [WEB, NEW]) == (LABELS,)


def test_a_pod_that_ends_is_sent_nothing_any_more() -> None:
    assert other_labels("web", [pod(deletionTimestamp="2026-01-01T00:00:00Z")], [WEB]) == ()


def test_the_template_tells_of_a_workload_without_pods() -> None:
    for kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job"):
        assert other_labels("web", [], [WEB, NEW, workload(kind, "x")]) == (LABELS | {"of": "x"},)
    periodic = {"jobTemplate": {"spec": {"template": {"metadata": {"labels": LABELS}}}}}
    assert other_labels("web", [], [WEB, workload("CronJob", "x", spec=periodic)]) == (LABELS,)


def test_what_makes_no_pod_any_more_or_has_a_maker_is_left_out() -> None:
    for condition in ("Complete", "Failed"):
        status = {"conditions": [{"type": condition, "status": "True"}]}
        assert other_labels("web", [], [WEB, workload("Job", "x", status=status)]) == ()
    for kind, maker in (("ReplicaSet", "Deployment"), ("Job", "CronJob")):
        assert other_labels("web", [], [WEB, workload(kind, "x", made_by(maker, "y"))]) == ()


def test_a_template_without_labels() -> None:
    bare = {"kind": "Deployment", "metadata": {"uid": "x"}, "spec": {"template": {"spec": {}}}}
    assert other_labels("web", [pod(labels=None)], [WEB, bare]) == ({},)


def test_many_pods_of_one_kind_are_said_once() -> None:
    assert other_labels("web", [pod(), pod()], [WEB]) == (LABELS,)

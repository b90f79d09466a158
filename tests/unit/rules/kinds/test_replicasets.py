"""A Deployment's history without us."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from devcluster.rules.kinds.kind import Change, Remove
from devcluster.rules.kinds.replicasets import REPLICASETS
from tests.unit.rules.test_drift import BEFORE, ORIGINALS, WRAPPED

Json = dict[str, Any]
REVISION = "deployment.kubernetes.io/revision"
FORMER = "deployment.kubernetes.io/revision-history"


def release(name: str, template: Json, revision: str, *, replicas: int = 0, former: str = "") -> Json:
    template = copy.deepcopy(template)
    template.setdefault("metadata", {}).setdefault("labels", {})["pod-template-hash"] = name
    notes = {REVISION: revision} | ({FORMER: former} if former else {})
    metadata = {
        "name": name,
        "uid": f"uid-{name}",
        "resourceVersion": "5",
        "annotations": notes,
        "labels": {"pod-template-hash": name},
    }
    return {"metadata": metadata, "spec": {"template": template, "replicas": replicas}}


def other_release(template: Json) -> Json:
    """A teammate's: another image."""
    result = copy.deepcopy(template)
    result["spec"]["containers"][0]["image"] = "web:2"
    return result


def test_ours_goes_and_the_original_stays() -> None:
    sets = [release("original", BEFORE, "3", replicas=1, former="1"), release("ours", WRAPPED, "2")]
    assert REPLICASETS.clean(ORIGINALS, sets) == (Remove("ours", "uid-ours"),)
    assert [REPLICASETS.wrapped(item) for item in sets] == [False, True]
    assert [REPLICASETS.used(item) for item in sets] == [True, False]


def test_a_teammates_release_loses_the_agent_alone() -> None:
    theirs = release("theirs", other_release(WRAPPED), "3")
    sets = [release("ours", WRAPPED, "2"), theirs, release("original", BEFORE, "4", replicas=1)]
    first, second = REPLICASETS.clean(ORIGINALS, sets)
    assert first == Remove("ours", "uid-ours")
    assert isinstance(second, Change)
    assert (second.name, second.version) == ("theirs", "5")
    (operation,) = second.body
    plain = release("theirs", other_release(BEFORE), "3")["spec"]["template"]
    assert operation == {"op": "replace", "path": "/spec/template", "value": plain}


def test_one_that_runs_goes_since_its_pods_have_an_agent() -> None:
    theirs = release("theirs", other_release(WRAPPED), "3", replicas=1)
    assert REPLICASETS.clean(ORIGINALS, [theirs]) == (Remove("theirs", "uid-theirs"),)


def test_the_numbers_of_before() -> None:
    before = replace(ORIGINALS, revision="1", revisions={"original": ("1", "")})
    sets = [release("original", BEFORE, "3", former="1")]
    (step,) = REPLICASETS.renumber(before, sets)
    assert step == Change("original", {"metadata": {"annotations": {REVISION: "1", FORMER: None}}}, "5")
    assert REPLICASETS.renumber(before, [release("original", BEFORE, "1")]) == ()
    assert REPLICASETS.renumber(replace(before, revision=""), sets) == ()


def test_what_is_noted_beforehand() -> None:
    workload = {"metadata": {"annotations": {REVISION: "3"}}}
    sets = [release("original", BEFORE, "3", former="1")]
    assert REPLICASETS.current(workload, sets) == "3"
    assert REPLICASETS.numbers(sets) == {"original": ("3", "1")}

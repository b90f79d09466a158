"""Knowing early that a roll-out will not come, and not too early."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.run.workload.rollout import Sight, Written, find_failure, find_revert, tell_progress
from tests.unit.rules.test_drift import BEFORE, ORIGINALS, WRAPPED, edited

Json = dict[str, Any]


def pod(state: Json, restarts: int = 0, last: Json | None = None) -> Json:
    status = {"name": "web", "state": state, "restartCount": restarts, "lastState": last or {}}
    volumes = [{"name": "devcluster-bin"}]
    return {
        "metadata": {"name": "web-1"},
        "spec": {"volumes": volumes},
        "status": {"containerStatuses": [status]},
    }


def deployment(*conditions: Json, **spec: Any) -> Json:
    status = {"observedGeneration": 1, "conditions": list(conditions)}
    return {"metadata": {"generation": 1}, "spec": spec, "status": status}


BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff"}}


def ended(code: int) -> Json:
    return {"terminated": {"exitCode": code, "reason": "Error"}}


@pytest.mark.parametrize(
    ("item", "patient", "reason"),
    [
        (pod({"running": {}}), False, None),
        (pod({"waiting": {"reason": "ContainerCreating"}}), False, None),
        (pod({"waiting": {"reason": "RunContainerError", "message": "no"}}), False, "RunContainerError: no"),
        (pod(BACK_OFF, 1, ended(1)), False, None),  # it may wait for its database
        (pod(BACK_OFF, 2, ended(1)), False, "CrashLoopBackOff, exit code 1"),
        (pod(BACK_OFF, 2, ended(1)), True, None),  # it did so before us
        (pod(BACK_OFF, 0, ended(127)), False, None),
        (pod(BACK_OFF, 1, ended(127)), True, "CrashLoopBackOff, exit code 127"),
    ],
)
def test_pods(item: Json, patient: bool, reason: str | None) -> None:
    found = find_failure(Sight(deployment(), (item,)), "web", True, patient=patient)
    assert found == (("web-1", reason) if reason else None)
    assert find_failure(Sight(deployment(), (item,)), "web", False) is None  # the other side's pod


def test_the_controllers_word() -> None:
    quota = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}
    assert find_failure(Sight(deployment(quota), ()), "web", True) == ("", "FailedCreate: quota")
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "late"}
    assert find_failure(Sight(deployment(late), ()), "web", True) == ("", "ProgressDeadlineExceeded: late")
    old = deployment(quota)
    old["metadata"]["generation"] = 2
    assert find_failure(Sight(old, ()), "web", True) is None
    left = tuple(deployment(late)["status"]["conditions"])  # by the roll-out before this one
    assert find_failure(Sight(deployment(late), ()), "web", False, stale=left) is None
    assert find_failure(Sight(deployment(quota), ()), "web", True, stale=left) is not None
    paused = find_failure(Sight(deployment(paused=True), ()), "web", True)
    assert paused is not None
    assert "paused" in paused[1]


ARGS = edited(args=["serve"])
PUT_BACK = "the template of deployment/web was put back"


@pytest.mark.parametrize(
    ("template", "generation", "by", "whole", "reverted"),
    [
        (WRAPPED, 7, "argocd", True, ""),
        (BEFORE, 6, "argocd", True, ""),  # the cluster's answer is from before our own patch
        (BEFORE, 7, "argocd", True, f"{PUT_BACK} (last written by argocd)"),
        (BEFORE, 8, "argocd", False, f"{PUT_BACK} (last written by argocd)"),
        (BEFORE, 8, "devcluster", True, f"{PUT_BACK}:"),
        (ARGS, 8, "argocd", True, "deployment/web: spec.containers[web].args is not as `up` wrote it"),
        (ARGS, 8, "argocd", False, ""),  # seen by a second `up`, which has its own eyes for it
        (ARGS, 8, "devcluster", True, ""),  # another laptop's agent
        (edited(env=[{"name": "MORE", "value": "1"}]), 8, "argocd", True, ""),
    ],
)
def test_a_template_that_is_taken_back(
    template: Json, generation: int, by: str, whole: bool, reverted: str
) -> None:
    fields = [{"manager": by, "fieldsV1": {"f:spec": {"f:template": {}}}}]
    live = {"metadata": {"generation": generation, "managedFields": fields}, "spec": {"template": template}}
    found = find_revert(live, Written(ORIGINALS, 7, whole))
    assert found.startswith(reverted)
    assert bool(found) == bool(reverted)


def test_a_pod_without_a_node_is_told() -> None:
    waiting = pod({})
    waiting["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available: 1 Insufficient cpu."}
    ]
    told = tell_progress(Sight(deployment(replicas=1), (waiting,)), wrapped=True)
    assert told == (
        "0 of 1 pods are new; 0 available; "
        "pod web-1 has no node: 0/1 nodes are available: 1 Insufficient cpu."
    )

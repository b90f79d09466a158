"""Knowing early that a roll-out will not come, and not too early."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.run.workload.rollout import Sight, find_failure, tell_progress

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

"""When a Deployment's roll-out is over, what it waits for, and when it will not come."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.rules.kinds.deployment import DEPLOYMENT
from devcluster.rules.kinds.kind import Done, Refusal, RolloutVerdict, Sight, Stuck, Waiting
from tests.unit.rules.kinds.pods import BACK_OFF, Json, ended, pod

QUOTA = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}
LATE = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "late"}
REFUSED: Json = {"waiting": {"reason": "RunContainerError", "message": "no"}}
STARTING: Json = {"waiting": {"reason": "ContainerCreating"}}


def deployment(*conditions: Json, updated: int = 0, total: int = 1, available: int = 0, **spec: Any) -> Json:
    status = {
        "observedGeneration": 1,
        "conditions": list(conditions),
        "updatedReplicas": updated,
        "replicas": total,
        "availableReplicas": available,
    }
    return {"metadata": {"generation": 1}, "spec": {"replicas": 1} | spec, "status": status}


def judge(item: Json, *pods: Json, wrapped: bool = True, ready: bool = True, **more: Any) -> RolloutVerdict:
    return DEPLOYMENT.judge_rollout(Sight(item, pods, "web", wrapped, ready, **more))


@pytest.mark.parametrize(
    ("item", "ready", "reason"),
    [
        (pod(), True, None),
        (pod(state=STARTING, ready=False), True, None),
        (pod(state=REFUSED), True, "RunContainerError: no"),
        (pod(state=BACK_OFF, restarts=1, last=ended(1)), True, None),  # it may wait for its database
        (pod(state=BACK_OFF, restarts=2, last=ended(1)), True, "CrashLoopBackOff, exit code 1"),
        (pod(state=BACK_OFF, restarts=2, last=ended(1)), False, None),  # it did so before us
        (pod(state=BACK_OFF, restarts=0, last=ended(127)), True, None),
        (pod(state=BACK_OFF, restarts=1, last=ended(127)), False, "CrashLoopBackOff, exit code 127"),
        (pod(state=BACK_OFF, restarts=2, last=ended(1), deletionTimestamp="T"), True, None),
    ],
)
def test_a_pod_that_will_not_come(item: Json, ready: bool, reason: str | None) -> None:
    found = judge(deployment(), item, ready=ready)
    assert (found == Stuck(reason, "web-1")) if reason else not isinstance(found, Stuck)
    others = judge(deployment(), item, wrapped=False, ready=ready)
    assert not isinstance(others, Stuck)


def test_the_controllers_word() -> None:
    found = judge(deployment(QUOTA))
    assert isinstance(found, Stuck)
    assert found.why == "the pods can't be started: FailedCreate: quota"
    assert "48 MiB" in found.hint  # whatever the words of the refusal are
    assert judge(deployment(LATE)) == Stuck("the pods can't be started: ProgressDeadlineExceeded: late")
    old = deployment(QUOTA)
    old["metadata"]["generation"] = 2
    assert judge(old) == Waiting("its controller has not seen the change yet")


def test_what_the_roll_out_before_left() -> None:
    assert isinstance(judge(deployment(LATE), wrapped=False, stale=(LATE,)), Waiting)
    assert isinstance(judge(deployment(QUOTA), wrapped=False, stale=(QUOTA,)), Waiting)
    assert isinstance(judge(deployment(QUOTA), stale=(LATE,)), Stuck)
    assert isinstance(judge(deployment(QUOTA), stale=(QUOTA,)), Stuck)  # it would refuse our pods, too


def test_a_paused_one() -> None:
    assert judge(deployment(paused=True)) == Stuck("it is paused", command="rollout resume")


UNSCHEDULED = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes: 1 Insufficient cpu."}
GATED = pod(conditions=({"type": "Ready", "status": "False"},), ready=True)
GATED["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
GATED["spec"]["readinessGates"] = [{"conditionType": "lb"}]
INIT = pod(state={"waiting": {"reason": "PodInitializing"}}, ready=False)
INIT["status"]["initContainerStatuses"] = [{"name": "setup", "state": {"running": {}}, "ready": False}]


@pytest.mark.parametrize(
    ("item", "pods", "what"),
    [
        (deployment(), (), "0 of 1 new pods are there"),
        (
            deployment(updated=1),
            (pod(conditions=(UNSCHEDULED,), ready=False),),
            "pod web-1 has no node: 0/1 nodes: 1 Insufficient cpu.",
        ),
        (
            deployment(updated=1),
            (pod(state=STARTING, ready=False),),
            "pod web-1 waits for its container web to start (ContainerCreating)",
        ),
        (deployment(updated=1), (INIT,), "pod web-1 waits for its init container setup"),
        (
            deployment(updated=1),
            (pod(ready=False),),
            "pod web-1 runs, but its container web is not ready",
        ),
        (deployment(updated=1), (GATED,), "pod web-1 waits for its readiness gate lb"),
        (
            deployment(updated=1, total=2),
            (pod(), pod("web-0", agent=False)),
            "the old pods are still there (web-0)",
        ),
        (
            deployment(updated=1, total=2),
            (pod(), pod("web-0", agent=False, deletionTimestamp="T")),
            "the old pods are still there (web-0)",
        ),
        (
            deployment(updated=1, minReadySeconds=30),
            (pod(),),
            "new pods must have been ready for 30 s (minReadySeconds)",
        ),
        (deployment(updated=1), (pod(),), "its controller has not counted the new pods yet"),
    ],
)
def test_what_is_waited_for(item: Json, pods: tuple[Json, ...], what: str) -> None:
    assert judge(item, *pods) == Waiting(what)


def test_done() -> None:
    assert judge(deployment(updated=1, available=1), pod()) == Done()
    both = (pod(), pod("web-0", agent=False))
    assert isinstance(judge(deployment(updated=1, total=2, available=2), *both), Waiting)
    assert judge(deployment(updated=1, total=2), *both, ready=False) == Done()  # it never answered
    assert isinstance(judge(deployment(updated=1), pod(state=STARTING), ready=True), Waiting)
    assert judge(deployment(updated=1, available=1), pod(agent=False), wrapped=False) == Done()
    assert judge(deployment(replicas=0, total=0), ready=False) == Done()


@pytest.mark.parametrize(
    ("spec", "order", "gap"),
    [
        ({}, "start-first", ""),
        ({"strategy": {"type": "Recreate"}}, "stop-first", "its strategy is Recreate"),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "25%"}}},
            "start-first",
            "its maxUnavailable lets all of its pods stop at once",
        ),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}, "replicas": 2},
            "start-first",
            "",
        ),
        ({"strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": "100%"}}}, "start-first", ""),
    ],
)
def test_its_own_order(spec: Json, order: str, gap: str) -> None:
    item = deployment(**spec)
    assert (DEPLOYMENT.order(item, ()), DEPLOYMENT.gap(item, ())) == (order, gap)
    assert DEPLOYMENT.serves_on(item, ()) == (order == "start-first")
    assert not DEPLOYMENT.serves_on(item, ("files",))


def test_what_can_have_no_agent_now() -> None:
    assert DEPLOYMENT.refuse(deployment()) is None
    assert DEPLOYMENT.refuse(deployment(replicas=0)) == Refusal(
        "has 0 replicas, so it has no pod to stand in for", "scale --replicas=1"
    )
    paused = DEPLOYMENT.refuse(deployment(paused=True))
    assert paused is not None
    assert paused.command == "rollout resume"


def test_numbers() -> None:
    assert DEPLOYMENT.replicas({"spec": {}}) == 1
    assert DEPLOYMENT.available({"spec": {}}) == 0
    assert DEPLOYMENT.available(deployment(available=2)) == 2

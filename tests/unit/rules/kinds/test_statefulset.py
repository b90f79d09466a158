"""When a StatefulSet's roll-out is over, and which pod its controller will never replace."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.rules.kinds.kind import Done, Refusal, RolloutVerdict, Sight, Stuck, Waiting
from devcluster.rules.kinds.statefulset import STATEFULSET
from tests.unit.rules.kinds.pods import BACK_OFF, Json, ended, pod

WHOLE: Json = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
BROKEN: Json = {"state": BACK_OFF, "ready": False, "last": ended(1)}


def statefulset(available: int = 2, *, updated: int = 2, seen: int = 1, **spec: Any) -> Json:
    status = {
        "observedGeneration": seen,
        "updateRevision": "new",
        "updatedReplicas": updated,
        "availableReplicas": available,
    }
    return {"metadata": {"generation": 1}, "spec": {"replicas": 2} | spec, "status": status}


def new(name: str, **words: Any) -> Json:
    return pod(name, labels={"controller-revision-hash": "new"}, **words)


def old(name: str, **words: Any) -> Json:
    return pod(name, labels={"controller-revision-hash": "old"}, **({"agent": False} | words))


def judge(item: Json, *pods: Json, wrapped: bool = True, ready: bool = True) -> RolloutVerdict:
    return STATEFULSET.judge_rollout(Sight(item, pods, "web", wrapped, ready))


@pytest.mark.parametrize(
    ("item", "pods", "verdict"),
    [
        (statefulset(), (new("web-0"), new("web-1")), Done()),
        (
            statefulset(seen=0),
            (new("web-0"), new("web-1")),
            Waiting("its controller has not seen the change yet"),
        ),
        (statefulset(), (old("web-0"), new("web-1")), Waiting("1 of 2 new pods are there")),
        # the same side, but of a template before this one: an agent that is set up anew
        (statefulset(), (old("web-0", agent=True), new("web-1")), Waiting("1 of 2 new pods are there")),
        (
            statefulset(1),
            (new("web-0"), new("web-1", ready=False)),
            Waiting("pod web-1 runs, but its container web is not ready"),
        ),
        (
            statefulset(1, minReadySeconds=10),
            (new("web-0"), new("web-1")),
            Waiting("new pods must have been ready for 10 s (minReadySeconds)"),
        ),
        (
            statefulset(1),
            (new("web-0"), new("web-1", **BROKEN, restarts=2)),
            Stuck("CrashLoopBackOff, exit code 1", "web-1"),
        ),
    ],
)
def test_on_the_way_in(item: Json, pods: tuple[Json, ...], verdict: RolloutVerdict) -> None:
    assert judge(item, *pods) == verdict


@pytest.mark.parametrize(
    ("pods", "policy", "blocked"),
    [
        ((new("web-0"), old("web-1", ready=False)), "OrderedReady", "web-1"),
        ((new("web-0"), old("web-1", ready=False)), "Parallel", ""),  # it is replaced
        ((old("web-0", ready=False), new("web-1", ready=False)), "OrderedReady", ""),  # web-1 is on its way
        ((old("web-0", ready=False), new("web-1", deletionTimestamp="T")), "OrderedReady", ""),
        ((old("web-0"), new("web-1")), "OrderedReady", ""),  # its turn will come
        ((old("web-2", ready=False), old("web-10", ready=False)), "OrderedReady", "web-2"),  # the first one
    ],
)
def test_a_pod_that_nobody_replaces(pods: tuple[Json, ...], policy: str, blocked: str) -> None:
    found = judge(statefulset(podManagementPolicy=policy), *pods)
    assert isinstance(found, Waiting)
    assert found.blocked == blocked
    assert ("replaces no pod" in found.what) == bool(blocked)


HELD_BACK = ({"type": "OnDelete"}, {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}})


@pytest.mark.parametrize("strategy", HELD_BACK)
@pytest.mark.parametrize("wrapped", [True, False])
def test_pods_that_its_strategy_holds_back_are_not_waited_for(strategy: Json, wrapped: bool) -> None:
    """A teammate's release while the agent was in: nobody replaces these pods."""
    item = statefulset(updated=1, updateStrategy=strategy)
    both = (old("web-0", agent=wrapped), new("web-1", agent=wrapped))
    for ready in (True, False):
        assert judge(item, *both, wrapped=wrapped, ready=ready) == Done()
        assert isinstance(judge(item, *both, wrapped=not wrapped, ready=ready), Waiting)


def test_a_broken_one_of_ours_once_the_template_is_back() -> None:
    left = old("web-1", agent=True, **BROKEN)
    found = judge(statefulset(), new("web-0", agent=False), left, wrapped=False)
    assert isinstance(found, Waiting)
    assert found.blocked == "web-1"


@pytest.mark.parametrize(
    ("pods", "wrapped", "done"),
    [
        ((new("web-0", ready=False),), True, True),  # the others come once it is ready
        ((new("web-0", ready=False), old("web-1", ready=False)), True, True),
        ((new("web-0", ready=False), old("web-1")), True, False),
        ((old("web-0", ready=False),), True, False),
        ((new("web-0", agent=False, ready=False),), False, True),
        ((new("web-0", agent=False, ready=False), old("web-1", agent=True, ready=False)), False, False),
    ],
)
def test_one_that_never_was_ready(pods: tuple[Json, ...], wrapped: bool, done: bool) -> None:
    found = judge(statefulset(0), *pods, wrapped=wrapped, ready=False)
    assert (found == Done()) == done


def test_a_first_start_is_not_cut_off() -> None:
    """kubelet ends it if its startup probe does not succeed in time; then it is replaced."""
    starting = old("web-0", ready=False)
    (status,) = starting["status"]["containerStatuses"]
    status["started"] = False
    found = judge(statefulset(0), starting, ready=False)
    assert found == Waiting("pod web-0 is starting, for as long as its startup probe allows")
    status["restartCount"] = 1
    found = judge(statefulset(0), starting, ready=False)
    assert isinstance(found, Waiting)
    assert found.blocked == "web-0"


def test_no_agent_stays_in_one_that_never_was_ready() -> None:
    """Beside a first pod that will not get ready the controller touches no other one."""
    both = (new("web-0", agent=False, ready=False), old("web-1", agent=True, ready=False))
    found = judge(statefulset(0), *both, wrapped=False, ready=False)
    assert isinstance(found, Waiting)
    assert found.blocked == "web-1"


@pytest.mark.parametrize(
    ("strategy", "fields", "mixed"),
    [
        (None, {}, ""),
        ({"type": "RollingUpdate"}, {}, ""),
        (WHOLE, {}, ""),
        ({"type": "OnDelete"}, {"updateStrategy": WHOLE}, "OnDelete"),
        (
            {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}},
            {"updateStrategy": WHOLE},
            "partition 1",
        ),
    ],
)
def test_what_keeps_pods_back(strategy: Json | None, fields: Json, mixed: str) -> None:
    spec: Any = {} if strategy is None else {"updateStrategy": strategy}
    assert STATEFULSET.rolling(statefulset(**spec), ()) == fields
    assert STATEFULSET.mixed(statefulset(updated=1, **spec)) == mixed
    assert STATEFULSET.mixed(statefulset(**spec)) == ""


def test_what_it_is() -> None:
    assert STATEFULSET.order(statefulset(), ()) == "stop-first"
    assert STATEFULSET.serves_on(statefulset(), ())  # each of its pods is gone before the new one starts
    assert (STATEFULSET.replicas(statefulset()), STATEFULSET.available(statefulset())) == (2, 2)
    assert STATEFULSET.gap(statefulset(), ()) == ""
    assert STATEFULSET.gap(statefulset(replicas=1), ()) == "it is a StatefulSet with one pod"
    assert STATEFULSET.refuse(statefulset()) is None
    assert STATEFULSET.refuse(statefulset(replicas=0)) == Refusal(
        "has 0 replicas, so it has no pod to stand in for", "scale --replicas=1"
    )
    claims = [{"metadata": {"name": "data"}}]
    assert STATEFULSET.volumes(statefulset(volumeClaimTemplates=claims)) == [
        {"name": "data", "persistentVolumeClaim": {}}
    ]

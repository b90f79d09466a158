"""When a DaemonSet's roll-out is over."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.rules.kinds.daemonset import DAEMONSET
from devcluster.rules.kinds.kind import Done, Refusal, RolloutVerdict, Sight, Stuck, Waiting
from tests.unit.rules.kinds.pods import BACK_OFF, Json, ended, pod


def daemonset(updated: int = 2, available: int = 2, *, wanted: int = 2, seen: int = 1, **spec: Any) -> Json:
    status = {
        "observedGeneration": seen,
        "desiredNumberScheduled": wanted,
        "updatedNumberScheduled": updated,
        "numberAvailable": available,
    }
    return {"metadata": {"generation": 1}, "spec": spec, "status": status}


def judge(item: Json, *pods: Json, wrapped: bool = True, ready: bool = True) -> RolloutVerdict:
    return DAEMONSET.judge_rollout(Sight(item, pods, "web", wrapped, ready))


BOTH = (pod("a"), pod("b"))
UNREADY = (pod("a"), pod("b", ready=False))


@pytest.mark.parametrize(
    ("item", "pods", "ready", "verdict"),
    [
        (daemonset(), BOTH, True, Done()),
        (daemonset(seen=0), BOTH, True, Waiting("its controller has not seen the change yet")),
        (daemonset(1), (pod("a"), pod("b", agent=False)), True, Waiting("1 of 2 new pods are there")),
        (
            daemonset(available=1),
            UNREADY,
            True,
            Waiting("pod b runs, but its container web is not ready"),
        ),
        (daemonset(available=0), UNREADY, False, Done()),
        (daemonset(1), BOTH, True, Waiting("its controller has not counted the new pods yet")),
        (
            daemonset(available=1),
            (pod("a"), pod("b", BACK_OFF, ready=False, restarts=2, last=ended(1))),
            True,
            Stuck("CrashLoopBackOff, exit code 1", "b"),
        ),
        (
            daemonset(available=1),
            (*BOTH, pod("c", agent=False)),
            True,
            Waiting("the old pods are still there (c)"),
        ),
    ],
)
def test_on_the_way_in(item: Json, pods: tuple[Json, ...], ready: bool, verdict: RolloutVerdict) -> None:
    assert judge(item, *pods, ready=ready) == verdict


def test_on_the_way_back() -> None:
    assert judge(daemonset(), pod("a", agent=False), pod("b", agent=False), wrapped=False) == Done()
    assert isinstance(judge(daemonset(), *BOTH, wrapped=False), Waiting)


@pytest.mark.parametrize(
    ("rolling", "order", "gap"),
    [
        ({}, "stop-first", ""),
        ({"maxUnavailable": "100%"}, "stop-first", "it is a DaemonSet that stops its pods first"),
        ({"maxUnavailable": 0, "maxSurge": "10%"}, "start-first", ""),
        ({"maxUnavailable": 0, "maxSurge": 1}, "start-first", ""),
    ],
)
def test_its_own_order(rolling: Json, order: str, gap: str) -> None:
    item = daemonset(updateStrategy={"type": "RollingUpdate", "rollingUpdate": rolling})
    assert (DAEMONSET.order(item, ()), DAEMONSET.gap(item, ())) == (order, gap)


def test_what_keeps_pods_back() -> None:
    item = daemonset(1, updateStrategy={"type": "OnDelete"})
    assert DAEMONSET.rolling(item, ()) == {"updateStrategy": {"type": "RollingUpdate"}}
    assert DAEMONSET.mixed(item) == "OnDelete"
    assert DAEMONSET.mixed(daemonset(updateStrategy={"type": "OnDelete"})) == ""
    assert DAEMONSET.rolling(daemonset(), ()) == {}


def test_pods_that_its_strategy_holds_back_are_not_waited_for() -> None:
    """A teammate's release while the agent was in: nobody replaces these pods."""
    item = daemonset(0, updateStrategy={"type": "OnDelete"})
    assert judge(item, *BOTH) == judge(item, *BOTH, ready=False) == Done()
    assert isinstance(judge(item, *BOTH, wrapped=False), Waiting)


def test_one_without_a_node() -> None:
    assert DAEMONSET.refuse(daemonset()) is None
    assert DAEMONSET.refuse(daemonset(wanted=0, seen=0)) is None  # just made: nobody has counted yet
    assert DAEMONSET.refuse(daemonset(wanted=0)) == Refusal(
        "runs on no node, so it has no pod to stand in for", "describe"
    )

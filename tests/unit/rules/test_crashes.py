"""Another container that does not run any more since the agent is there, and the port that it wanted."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.rules.advice.crashes import find_crashes, find_weak, has_crashed, render_collision

Json = dict[str, Any]
RUNS: Json = {"running": {}}
OFF: Json = {"waiting": {"reason": "CrashLoopBackOff"}}


def ended(code: int) -> Json:
    return {"terminated": {"exitCode": code}}


def pod(
    state: Json, last: Json | None = None, restarts: int = 0, *, agent: bool = True, ends: bool = False
) -> Json:
    beside = {"name": "beside", "state": state, "lastState": last or {}, "restartCount": restarts}
    own = {"name": "web", "state": OFF, "lastState": ended(1), "restartCount": 9}
    metadata = {"name": "web-1"} | ({"deletionTimestamp": "now"} if ends else {})
    volumes = [{"name": "devcluster-bin"}] if agent else []
    return {
        "metadata": metadata,
        "spec": {"volumes": volumes},
        "status": {"containerStatuses": [own, beside]},
    }


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        (pod(RUNS), []),
        (pod(OFF), []),  # it has not run yet
        (pod(RUNS, ended(1), 1), [("beside", 1, False)]),
        (pod(OFF, ended(98), 3), [("beside", 98, True)]),
        (pod(ended(2)), [("beside", 2, True)]),
        (pod(ended(0)), []),
        (pod(OFF, ended(1), 3, agent=False), []),
        (pod(OFF, ended(1), 3, ends=True), []),
    ],
)
def test_who_crashes(seen: Json, found: list[tuple[str, int, bool]]) -> None:
    crashes = find_crashes([seen], "web", frozenset())
    assert [(it.container, it.code, it.down) for it in crashes] == found
    assert find_crashes([seen], "web", frozenset({"beside"})) == ()


def test_who_did_so_before_us() -> None:
    assert find_weak([pod(RUNS)]) == {"web"}
    assert find_weak([pod(RUNS, ended(1), 1)]) == {"web", "beside"}
    assert find_weak([]) == frozenset()


@pytest.mark.parametrize(
    ("own", "weak", "crashed"),
    [
        ({"state": OFF, "lastState": ended(1)}, set(), True),
        ({"state": ended(98)}, set(), True),
        ({"state": ended(0)}, set(), False),
        ({"state": RUNS}, set(), False),
        ({"state": {"waiting": {"reason": "ErrImagePull"}}}, set(), False),
        ({"state": ended(1)}, {"web"}, False),
    ],
)
def test_whether_the_application_itself_crashed(own: Json, weak: set[str], crashed: bool) -> None:
    beside = {"name": "beside", "state": ended(1)}
    seen = {"status": {"containerStatuses": [{"name": "web"} | own, beside]}}
    assert has_crashed(seen, "web", weak) == crashed


@pytest.mark.parametrize(
    ("log", "text"),
    [
        ("bind 0.0.0.0:9900: Address in use", "port 9900 is the agent's in this pod"),
        ("could not open port 47100", "port 47100 is the agent's in this pod"),
        ("worker 99001 ended, 147100 requests", "the agent listens on 9900, 47100 in this pod; if"),
        ("", "the agent listens on 9900, 47100 in this pod; if"),
    ],
)
def test_which_port_it_wanted(log: str, text: str) -> None:
    assert render_collision(log, (47100, 9900), certain=True).startswith(text)


def test_nothing_is_said_of_an_application_that_fails_for_itself() -> None:
    assert render_collision("no such table", (9900,), certain=False) == ""
    assert "port 9900" in render_collision(":9900 in use", (9900,), certain=False)

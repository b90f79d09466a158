"""How long a workload itself says that it takes, and the words for what is waited for."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.deadline import Deadline
from devcluster.rules.agent.agent_state import parse_state
from devcluster.rules.container.pod_times import render_wait, start_time, whole_time

Json = dict[str, Any]
SLOW: Json = {"startupProbe": {"initialDelaySeconds": 5, "periodSeconds": 10, "failureThreshold": 60}}


@pytest.mark.parametrize(
    ("container", "found"),
    [
        ({}, (0.0, "")),
        ({"startupProbe": {}}, (0.0, "")),
        ({"startupProbe": {"periodSeconds": 5}}, (15.0, "startup probe")),
        (SLOW, (605.0, "startup probe")),
        ({"readinessProbe": {"initialDelaySeconds": 40}}, (40.0, "readiness probe's initial delay")),
        ({"readinessProbe": {"periodSeconds": 1}}, (0.0, "")),
    ],
)
def test_a_start(container: Json, found: tuple[float, str]) -> None:
    assert start_time(container) == found


@pytest.mark.parametrize(
    ("spec", "pod", "seconds"),
    [
        ({}, {"containers": [{}]}, 150),
        ({"progressDeadlineSeconds": 600}, {"containers": [{}]}, 150),
        ({"progressDeadlineSeconds": 1800}, {"containers": [{}]}, 1950),
        ({}, {"containers": [{}, SLOW]}, 755),
        ({}, {"containers": [{}], "initContainers": [SLOW]}, 755),
        ({}, {"containers": [{}], "terminationGracePeriodSeconds": 3600}, 3720),
    ],
)
def test_all_of_it(spec: Json, pod: Json, seconds: float) -> None:
    assert whole_time({"spec": spec}, pod) == seconds


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({}, ""),
        ({"child": "stopped", "route": "laptop"}, ""),
        ({"child": "stopping"}, "the application stops, for which it has 40 s"),
        ({"child": "starting"}, "the application starts, for which its startup probe allows 605 s"),
        (
            {"child": "running", "route": "queue", "reason": "readiness probe: HTTP 503"},
            "the application does not accept connections yet: readiness probe: HTTP 503",
        ),
        ({"child": "running", "route": "child"}, "requests under way may take 40 s to end"),
    ],
)
def test_the_words(state: Json, text: str) -> None:
    assert render_wait(parse_state(state), SLOW, {"terminationGracePeriodSeconds": 40}) == text


def test_only_a_default_gives_way() -> None:
    assert Deadline.after(5).stretched(500).left() <= 5
    stretched = Deadline.after(5, fixed=False).stretched(500)
    assert (stretched.span, stretched.fixed) == (500, False)
    assert Deadline.after(500, fixed=False).stretched(5).span == 500

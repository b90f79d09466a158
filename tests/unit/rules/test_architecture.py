"""The nodes decide which agent, the laptop never."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.errors import ConfigurationError
from devcluster.rules.cluster.architecture import ARCH, SHIPPED, choose_machine

MIXED = {"a": "amd64", "b": "arm64", "c": "amd64"}


def affinity(*values: list[str]) -> dict[str, Any]:
    terms = [{"matchExpressions": [{"key": ARCH, "operator": "In", "values": one}]} for one in values]
    required = {"nodeSelectorTerms": terms}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}


@pytest.mark.parametrize(
    ("spec", "nodes", "running", "image", "expected"),
    [
        ({}, {}, [], "", ("amd64", None)),
        ({}, {}, ["a"], "arm64", ("arm64", None)),
        ({}, {"a": "amd64"}, ["a"], "arm64", ("amd64", None)),
        ({}, MIXED, ["b"], "amd64", ("arm64", "arm64")),
        ({}, MIXED, [], "arm64", ("amd64", "amd64")),
        ({"nodeSelector": {ARCH: "arm64"}}, MIXED, ["a"], "amd64", ("arm64", None)),
        (affinity(["arm64"], ["arm64"]), MIXED, ["a"], "amd64", ("arm64", None)),
        (affinity(["arm64", "amd64"]), MIXED, ["b"], "amd64", ("arm64", "arm64")),
        (affinity(["arm64"], ["amd64"]), {}, [], "amd64", ("amd64", None)),
    ],
)
def test_choice(
    spec: dict[str, Any],
    nodes: dict[str, str],
    running: list[str],
    image: str,
    expected: tuple[str, str | None],
) -> None:
    found = choose_machine(spec, nodes=nodes, running=running, image=image, shipped=SHIPPED)
    assert (found.architecture, found.pin) == expected
    assert bool(found.doubt) == (found.source == "its image says so")


def test_what_there_is_no_agent_for_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"s390x \(its node says so\)") as caught:
        choose_machine({}, nodes={"a": "s390x"}, running=["a"], image="amd64", shipped=SHIPPED)
    assert caught.value.hint == "there is one for amd64 and arm64"

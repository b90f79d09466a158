"""What `up` performs, by what was decided."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from devcluster.plan.handover import plan_handover
from devcluster.plan.install import InstallPlan
from devcluster.plan.up import plan_up
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.outcome import Decision

HANDOVER = plan_handover("replace", "start-first", "front", "container")
INSTALL = cast(
    InstallPlan,
    SimpleNamespace(
        steps=("publish", "wrap"), observed=SimpleNamespace(ref=WorkloadRef("deployment", "shop", "web"))
    ),
)
THERE = "hold connect fill start hold-all join"
EDIT = "pause replace fill start join"


def _decision(work: str, lead: bool) -> Decision:
    return Decision("changed", cast(Any, work), lead=lead)


@pytest.mark.parametrize(
    ("work", "lead", "steps"),
    [
        ("attach", False, f"publish wrap {THERE}"),
        ("attach", True, f"publish wrap {THERE}"),
        ("edit", False, EDIT),
        ("edit", True, f"publish wrap {EDIT}"),
        ("nothing", True, "publish wrap"),
        ("nothing", False, ""),
        ("remove", False, "put deployment/web back, as `down` does"),
    ],
)
def test_steps(work: str, lead: bool, steps: str) -> None:
    found = plan_up(_decision(work, lead), INSTALL, HANDOVER)
    assert " ".join(getattr(step, "name", str(step)) for step in found) == steps

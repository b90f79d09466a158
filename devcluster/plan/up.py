"""The steps of `up` for one workload, in the cluster and on the laptop, as it was decided."""

from __future__ import annotations

from typing import assert_never

from devcluster.plan.handover import Handover
from devcluster.plan.install import InstallPlan
from devcluster.plan.steps import PutBack, Step
from devcluster.rules.outcome import Decision


def plan_up(decision: Decision, install: InstallPlan, handover: Handover) -> tuple[Step, ...]:
    """What `up` performs, in its order."""
    led: tuple[Step, ...] = install.steps if decision.lead else ()
    match decision.work:
        case "attach":
            return (*install.steps, *handover.there)
        case "edit":
            return (*led, *handover.edit)
        case "nothing":
            return led
        case "remove":
            return (PutBack(str(install.observed.ref)),)
    assert_never(decision.work)

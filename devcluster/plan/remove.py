"""The steps that restore a workload; pure."""

from __future__ import annotations

from devcluster.plan.steps import (
    AwaitRollout,
    DeleteAgent,
    DeleteSecret,
    PruneHistory,
    RemoveStep,
    RestoreFields,
    RestoreService,
    RestoreTemplate,
)
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.marks import Originals, secret_name
from devcluster.rules.cluster.services import PortMove


def plan_remove(
    originals: Originals | None, ref: WorkloadRef, *, noted: tuple[PortMove, ...] = ()
) -> tuple[RemoveStep, ...]:
    """*originals* None: there is no Secret (any more), so only the binary may be left over.  What is *noted*
    on Services counts in any case.

    The order keeps the port that each Service names open at every moment.  The Secret, from which all of this
    is known, goes last, so the removal can be started again after any step.
    """
    steps: list[RemoveStep] = []
    every = dict.fromkeys([*(originals.moves if originals is not None else ()), *noted])
    for service in sorted({move.service for move in every}):
        moves = tuple(move for move in every if move.service == service)
        steps.append(RestoreService(ref.namespace, service, moves, "the agent's port is about to go"))
    if originals is not None:
        steps.append(RestoreTemplate(ref, originals.container, "it starts the application by the agent"))
        steps.append(AwaitRollout(ref, "the pods with an agent must be gone first"))
        if originals.rolling:
            steps.append(RestoreFields(ref, tuple(sorted(originals.rolling)), "every pod has been replaced"))
        steps.append(PruneHistory(ref, "`rollout undo` would bring the agent back"))
        steps.append(DeleteSecret(ref.namespace, secret_name(ref), "it is no longer needed"))
    else:
        steps.append(PruneHistory(ref, "`rollout undo` would bring the agent back"))
    steps.append(DeleteAgent(ref.namespace, "it is no longer needed"))
    return tuple(steps)

"""Kinds that can't have an agent, each with the reason; what controls one of them may have one.

Source: https://kubernetes.io/docs/concepts/workloads/controllers/
"""

from __future__ import annotations

from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.kinds.table import KINDS

REFUSED = {
    "replicaset": "is a ReplicaSet: it does not replace its pods when its template changes",
    "replicationcontroller": "is a ReplicationController: it does not replace its pods when its template "
    "changes",
    "pod": "is a Pod of its own: nothing starts it again, so its command can't be changed",
    "job": "is a Job: its template can't be changed, and its pods end by themselves",
    "cronjob": "is a CronJob: its pods end by themselves, and no Service leads to them",
}


def why_refused(ref: WorkloadRef, owner: WorkloadRef | None) -> tuple[str, str]:
    """The message, and what to do.  *owner*: what controls it, None for nothing."""
    if owner is not None and owner.kind in KINDS:
        return f"{ref.full_name} belongs to {owner}", f"write `target: {owner}`"
    reason = REFUSED[ref.kind]
    if owner is not None:
        why = REFUSED.get(owner.kind, "alone decides what its pods are")
        reason = f"belongs to {owner}, which {why}"
    *most, last = (f"{row.title}s" for row in KINDS.values())
    return (
        f"{ref.full_name} {reason}",
        f"devcluster replaces {', '.join(most)} and {last}; make one of it",
    )

"""The table of kinds: a row for each that can have an agent.  A new kind is a row here and its module."""

from __future__ import annotations

from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.kinds.daemonset import DAEMONSET
from devcluster.rules.kinds.deployment import DEPLOYMENT
from devcluster.rules.kinds.kind import Kind
from devcluster.rules.kinds.statefulset import STATEFULSET

KINDS: dict[str, Kind] = {row.name: row for row in (DEPLOYMENT, STATEFULSET, DAEMONSET)}


def kind_of(ref: WorkloadRef) -> Kind:
    """Its row.  Only what ``find_workload`` lets pass has one."""
    return KINDS[ref.kind]

"""Fields that are ours for a while, and who owns them: given back as they were.

Each function looks at what the field says now: one that somebody has changed since is left alone, and named.
"""

from __future__ import annotations

from collections.abc import Sequence

from devcluster.edge.kube.cluster import FIELD_MANAGER, Cluster, Json
from devcluster.edge.kube.swap import Patch, Write, swap
from devcluster.rules.cluster.marks import Originals
from devcluster.rules.cluster.undo import restore_managers
from devcluster.rules.kinds.rolling import restore_fields


async def restore_rolling(cluster: Cluster, originals: Originals) -> tuple[str, ...]:
    """Restore what had to be different while our roll-out ran.  Return the fields that are left alone."""
    kept: tuple[str, ...] = ()

    def give_back(live: Json | None) -> Write | None:
        nonlocal kept
        if live is None or live["metadata"]["uid"] != originals.uid:
            return None
        operations, kept = restore_fields(live["spec"], originals.rolling)
        return Patch(operations, "json-patch") if operations else None

    await swap(cluster, originals.ref.path, give_back)
    return tuple(f"{originals.ref} {name}" for name in kept)


async def restore_limit(cluster: Cluster, originals: Originals) -> tuple[str, ...]:
    """Restore how much history is kept.  Return the field, if it is left alone."""
    before, ours = originals.history_limit, originals.raised_limit
    kept: tuple[str, ...] = ()

    def lower(live: Json | None) -> Write | None:
        nonlocal kept
        limit = live["spec"].get("revisionHistoryLimit") if live is not None else before
        kept = () if limit in (before, ours) else (f"{originals.ref} spec.revisionHistoryLimit",)
        return Patch({"spec": {"revisionHistoryLimit": before}}) if limit == ours != before else None

    await swap(cluster, originals.ref.path, lower)
    return kept


async def hand_over(
    cluster: Cluster, path: tuple[str, str, str], before: Sequence[Json], first: Json
) -> None:
    """Whoever owned a field before us owns it again, for those who use server-side apply.  *before*: the
    managedFields of then; *first*: the object as it is now."""

    def replace_managers(live: Json | None) -> Write | None:
        now = (live["metadata"].get("managedFields") or []) if live is not None else []
        if not any(entry.get("manager") == FIELD_MANAGER for entry in now):
            return None
        entries = restore_managers(list(before), now, FIELD_MANAGER)
        return Patch([{"op": "replace", "path": "/metadata/managedFields", "value": entries}], "json-patch")

    await swap(cluster, path, replace_managers, first=first)

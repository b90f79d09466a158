"""Fields that our roll-out needs to be different: changed while it runs, then restored.

A StatefulSet whose strategy is OnDelete, or that has a partition, would go on with its old pods for ever.  A
Deployment that rolls would start a second database on one claim.  And ``minReadySeconds`` would let `up` and
`down` wait for pods that are ready, for as long as somebody wants to watch a release of his own.
What the field said is in the workload's Secret before it is written.  A field that somebody changed
meanwhile is left alone, and named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
Rolling = Mapping[str, tuple[Any, Any]]
"""By the field of ``spec``: what it said before us (None: nothing), and what we write."""


def patience(spec: Json) -> Json:
    """The field that keeps new pods from counting, where it is set."""
    return {"minReadySeconds": 0} if spec.get("minReadySeconds") else {}


def remember(spec: Json, fields: Json, known: Rolling) -> Rolling:
    """The values in *spec* that *fields* will replace, beside those *known* from an earlier roll-out."""
    return {**known, **{name: (spec.get(name), ours) for name, ours in fields.items()}}


def write_fields(fields: Json) -> list[Json]:
    """As operations of a JSON patch."""
    return [{"op": "add", "path": f"/spec/{name}", "value": ours} for name, ours in sorted(fields.items())]


def is_held(spec: Json, rolling: Rolling) -> bool:
    """Whether any field still has the value that we wrote."""
    return any(_is_set(spec.get(name), ours) for name, (_, ours) in rolling.items())


def restore_fields(spec: Json, rolling: Rolling) -> tuple[list[Json], tuple[str, ...]]:
    """The operations that give them back, and the fields that are left alone."""
    operations, kept = [], []
    for name, (before, ours) in sorted(rolling.items()):
        if _is_set(spec.get(name), ours):
            path = {"path": f"/spec/{name}"}
            gone = before is None
            operations.append({"op": "remove"} | path if gone else {"op": "add", "value": before} | path)
        elif spec.get(name) != before:
            kept.append(f"spec.{name}")
    return operations, tuple(kept)


def _is_set(live: Any, ours: Any) -> bool:
    """The API server adds its defaults to what we wrote, and leaves a 0 out."""
    if isinstance(ours, dict) and isinstance(live, dict):
        return all(_is_set(live.get(key), value) for key, value in ours.items())
    return bool(live == ours or (live is None and ours == 0))

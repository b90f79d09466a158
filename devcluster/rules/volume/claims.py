"""Claims that two pods must not write to at once.

A ReadWriteOnce claim may be mounted by several pods of one node: Kubernetes keeps nobody from it.  So a
Deployment with such a claim and the default strategy starts a second database on the files of the first; the
second fails on their lock, or worse, does not.  Whether it is so is said by the claims, not by the template.

Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]


def written_claims(template: Json) -> tuple[str, ...]:
    """Names of the claims that a pod of *template* may write to."""
    found = [volume.get("persistentVolumeClaim") or {} for volume in template["spec"].get("volumes") or []]
    return tuple(
        sorted(one["claimName"] for one in found if one.get("claimName") and not one.get("readOnly"))
    )


def exclusive_claims(template: Json, claims: Iterable[Json]) -> tuple[str, ...]:
    """Those among them that are for one node or pod only; *claims*: of its namespace."""
    alone = {
        claim["metadata"]["name"]
        for claim in claims
        if "ReadWriteMany" not in (modes := claim["spec"].get("accessModes") or [])
        and any(mode.startswith("ReadWriteOnce") for mode in modes)
    }
    return tuple(name for name in written_claims(template) if name in alone)

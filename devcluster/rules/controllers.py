"""Who else writes a workload, by the traces they leave: labels, annotations, owners, field managers.

A controller that keeps objects as a repository says takes the agent out again.  That is its job, so it is
not fought; it is named before anything happens, with the words that pause it.

Rules: a label or annotation that only this controller writes counts; ``app.kubernetes.io/managed-by`` and
``app.kubernetes.io/instance`` are everybody's and count only with a trace of their own beside them.  An
owner that controls the object counts whatever its kind, since nothing is known of it.

Sources:
https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/
https://fluxcd.io/flux/components/kustomize/kustomizations/#inventory
https://helm.sh/docs/chart_best_practices/labels/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_ARGO, _FLUX = "argocd.argoproj.io", "toolkit.fluxcd.io"
_MANAGERS = {
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "kustomize-controller": "Flux (kustomize-controller)",
    "helm-controller": "Flux (helm-controller)",
    "configsync": "Config Sync",
    "fleetagent": "Fleet",
    "rancher-fleet": "Fleet",
}
_MARKS = (
    ("objectset.rio.cattle.io/id", "Fleet"),
    ("kapp.k14s.io/identity", "kapp"),
    ("operators.coreos.com/", "the Operator Lifecycle Manager"),
    ("olm.owner", "the Operator Lifecycle Manager"),
)


@dataclass(frozen=True, slots=True)
class Manager:
    """``name``: for people; ``effect``: what it will do; ``remedy``: how to pause it, or ''."""

    name: str
    effect: str
    remedy: str = ""


def find_managers(item: Json) -> tuple[Manager, ...]:
    """Whoever will undo a change of *item*, an object as the API server gives it."""
    metadata = item.get("metadata") or {}
    labels: Mapping[str, str] = metadata.get("labels") or {}
    notes: Mapping[str, str] = metadata.get("annotations") or {}
    found = [
        manager
        for manager in (
            _argo(labels, notes),
            _flux("kustomize", "kustomization", labels, notes),
            _flux("helm", "helmrelease", labels, notes),
            _config_sync(notes),
            *_marked({**labels, **notes}),
            _helm(labels, notes),
        )
        if manager is not None
    ]
    found += _writers(metadata) if not found else []
    return (*found, *_owners(metadata))


def _argo(labels: Mapping[str, str], notes: Mapping[str, str]) -> Manager | None:
    tracked = notes.get(f"{_ARGO}/tracking-id", "").partition(":")[0]
    name = tracked or labels.get(f"{_ARGO}/instance", "")
    if not name:
        return None
    effect = "puts the template back at its next sync, within seconds where self-heal is on"
    return Manager(f"Argo CD (application {name})", effect, f"argocd app set {name} --sync-policy none")


def _flux(part: str, kind: str, labels: Mapping[str, str], notes: Mapping[str, str]) -> Manager | None:
    name = labels.get(f"{part}.{_FLUX}/name")
    if not name or notes.get(f"{part}.{_FLUX}/reconcile") == "disabled":
        return None
    space = labels.get(f"{part}.{_FLUX}/namespace", "")
    effect = "puts the template back when it reconciles next, usually within minutes"
    where = f" -n {space}" if space else ""
    return Manager(f"Flux ({kind} {name})", effect, f"flux suspend {kind} {name}{where}")


def _config_sync(notes: Mapping[str, str]) -> Manager | None:
    if notes.get("configmanagement.gke.io/managed") != "enabled":
        return None
    return Manager("Config Sync", "puts the template back at once")


def _marked(marks: Mapping[str, str]) -> tuple[Manager, ...]:
    names = sorted({name for prefix, name in _MARKS if any(key.startswith(prefix) for key in marks)})
    return tuple(Manager(name, "puts the template back when it reconciles next") for name in names)


def _helm(labels: Mapping[str, str], notes: Mapping[str, str]) -> Manager | None:
    release = notes.get("meta.helm.sh/release-name")
    if not release or labels.get("app.kubernetes.io/managed-by") != "Helm":
        return None
    if any(key.startswith(f"helm.{_FLUX}/") for key in labels):
        return None  # Flux speaks for it
    effect = "changes the template at the next `helm upgrade` or `helm rollback`, not by itself"
    return Manager(f"Helm (release {release})", effect)


def _writers(metadata: Json) -> list[Manager]:
    names = {_MANAGERS.get(entry.get("manager", "")) for entry in metadata.get("managedFields") or []}
    effect = "has written this object, and puts it back when it reconciles next"
    return [Manager(name, effect) for name in sorted(name for name in names if name)]


def _owners(metadata: Json) -> tuple[Manager, ...]:
    owners = [owner for owner in metadata.get("ownerReferences") or [] if owner.get("controller")]
    return tuple(
        Manager(
            f"the controller of {owner['kind']} {owner['name']} ({owner.get('apiVersion', '')})",
            "owns this object, and may put the template back whenever it likes",
        )
        for owner in owners
    )


def last_writer(item: Json, *path: str) -> str:
    """``MANAGER at TIME`` of who wrote the field at *path* (``spec``, ``template``) last; '' if unknown."""
    found = [
        (entry.get("time", ""), entry.get("manager", ""))
        for entry in (item.get("metadata") or {}).get("managedFields") or []
        if entry.get("subresource") != "status" and _wrote(entry.get("fieldsV1") or {}, path)
    ]
    if not found:
        return ""
    time, manager = max(found)
    return f"{manager} at {time}" if time else manager


def _wrote(fields: Json, path: tuple[str, ...]) -> bool:
    for name in path:
        if f"f:{name}" not in fields:
            return False
        fields = fields[f"f:{name}"]
    return True

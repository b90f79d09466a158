"""Who else writes a workload, by the marks they leave: labels, annotations, owners, field managers.

A controller that restores objects from a repository takes the agent out again.  That is its job, so we don't
fight it: we name it before anything happens, with the command that pauses it.

Rule: only a mark that nobody else writes counts, and an owner that controls the object.  Labels that
everybody writes (``app.kubernetes.io/instance``, a chart's) prove nothing: kustomize and people write them,
too.

Sources:
https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/
https://fluxcd.io/flux/components/kustomize/kustomizations/#inventory
https://fluxcd.io/flux/components/helm/helmreleases/#drift-detection
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_US = "devcluster"  # our field manager
_ARGO, _FLUX = "argocd.argoproj.io", "toolkit.fluxcd.io"
_ARGO_WRITES = ("argocd-controller", "argocd-application-controller")


@dataclass(frozen=True, slots=True)
class Manager:
    """``name``: for people; ``effect``: what it does; ``remedy``: the command that pauses it, or ''.
    ``alone``: whether it acts by itself, with nobody at a keyboard."""

    name: str
    effect: str
    remedy: str = ""
    alone: bool = True

    @property
    def advice(self) -> str:
        return f"pause it: `{self.remedy}`" if self.remedy else ""


def find_managers(item: Json) -> tuple[Manager, ...]:
    """Those who will undo a change of *item*, an object as the API server gives it."""
    metadata = item.get("metadata") or {}
    labels: Mapping[str, str] = metadata.get("labels") or {}
    notes: Mapping[str, str] = metadata.get("annotations") or {}
    found = (
        _argo(labels, notes, metadata.get("managedFields") or []),
        _kustomization(labels, notes),
        _helm_release(labels, notes),
        _helm(labels, notes),
        _owner(metadata.get("ownerReferences") or []),
    )
    return tuple(manager for manager in found if manager is not None)


def _argo(labels: Mapping[str, str], notes: Mapping[str, str], writers: list[Json]) -> Manager | None:
    tracked = notes.get(f"{_ARGO}/tracking-id", "").partition(":")[0]
    name = tracked or labels.get(f"{_ARGO}/instance", "")
    if not name and any(entry.get("manager") in _ARGO_WRITES for entry in writers):
        name = labels.get("app.kubernetes.io/instance", "")  # how it tracks by label
    if not name:
        return None
    effect = "it will undo the change at its next sync, within seconds if self-heal is on"
    remedy = f"argocd app set {name.replace('_', '/')} --sync-policy none"  # NAMESPACE_NAME on the object
    return Manager(f"Argo CD (application {name})", effect, remedy)


def _kustomization(labels: Mapping[str, str], notes: Mapping[str, str]) -> Manager | None:
    prefix = f"kustomize.{_FLUX}"
    marks = {**labels, **notes}
    if marks.get(f"{prefix}/ssa") in ("IfNotPresent", "Ignore"):
        return None
    if marks.get(f"{prefix}/reconcile") == "disabled":
        return None
    effect = "it will undo the change when it next reconciles, usually within minutes"
    return _flux(prefix, "kustomization", labels, effect)


def _helm_release(labels: Mapping[str, str], notes: Mapping[str, str]) -> Manager | None:
    """It corrects drift only if that is switched on."""
    prefix = f"helm.{_FLUX}"
    effect = "it will undo the change at its next upgrade"
    if {**labels, **notes}.get(f"{prefix}/driftDetection") != "disabled":
        effect += ", or within minutes if its drift detection is on"
    return _flux(prefix, "helmrelease", labels, effect)


def _flux(prefix: str, kind: str, labels: Mapping[str, str], effect: str) -> Manager | None:
    name, space = labels.get(f"{prefix}/name"), labels.get(f"{prefix}/namespace")
    if not name:
        return None
    where = f" -n {space}" if space else ""
    return Manager(f"Flux ({kind} {name})", effect, f"flux suspend {kind} {name}{where}")


def _helm(labels: Mapping[str, str], notes: Mapping[str, str]) -> Manager | None:
    release = notes.get("meta.helm.sh/release-name")
    if not release or f"helm.{_FLUX}/name" in labels:
        return None  # Flux speaks for it
    effect = "the next `helm upgrade` or `helm rollback` will undo the change"
    return Manager(f"Helm (release {release})", effect, alone=False)


def _owner(owners: list[Json]) -> Manager | None:
    """A controller of unknown kind."""
    owner = next((one for one in owners if one.get("controller")), None)
    if owner is None:
        return None
    name = f"the controller of {owner['kind']} {owner['name']} ({owner.get('apiVersion', '')})"
    return Manager(name, "it may undo the change at any time")


def render_pause(item: Json) -> str:
    """How to make a change of *item* last, a line for each controller that must be paused."""
    lines = [
        f"`{it.remedy}` pauses {it.name}" if it.remedy else f"pause {it.name} for this workload"
        for it in find_managers(item)
        if it.alone
    ]
    somebody = "pause whoever changes it (a GitOps tool with auto-sync, an operator) for this workload"
    return "\n".join([*(lines or [somebody]), "then run `devcluster up` again"])


def last_writer(item: Json, *path: str) -> str:
    """``MANAGER at TIME``: who wrote the field at *path* (``spec``, ``template``) last, after us if we wrote
    the object.  '' if unknown: whoever only removes fields leaves no trace."""
    entries = [
        (entry.get("time", ""), entry.get("manager", ""), _wrote(entry.get("fieldsV1") or {}, path))
        for entry in (item.get("metadata") or {}).get("managedFields") or []
        if entry.get("subresource") != "status"
    ]
    ours = max((time for time, manager, _ in entries if manager == _US), default="")
    found = [(time, manager) for time, manager, wrote in entries if wrote and manager != _US and time >= ours]
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

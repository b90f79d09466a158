"""Who else writes a workload, by the traces they leave: labels, annotations, owners, field managers.

A controller that keeps objects as a repository says takes the agent out again.  That is its job, so it is
not fought; it is named before anything happens, with the words that pause it.

Rules:
1. A label or annotation that only this controller writes is certain, and so is an owner that controls the
   object: nothing is known of its kind, but that it writes.
2. Everybody's labels (``app.kubernetes.io/instance``, a chart's) and an owner that only owns are a guess,
   said as one, without a command, and only where nothing is certain.
3. Argo CD, tracking by label, writes ``instance`` on the object alone; kustomize's ``labels`` and people do,
   too, mostly beside other recommended ones.  So it is Argo CD's, perhaps, where it stands without those.

Sources:
https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/
https://fluxcd.io/flux/components/kustomize/kustomizations/#inventory
https://fluxcd.io/flux/components/helm/helmreleases/#drift-detection
https://helm.sh/docs/chart_best_practices/labels/
https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/labels/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_US = "devcluster"  # our field manager
_ARGO, _FLUX = "argocd.argoproj.io", "toolkit.fluxcd.io"
_RECOMMENDED = "app.kubernetes.io/"
_INSTANCE, _MANAGED_BY = f"{_RECOMMENDED}instance", f"{_RECOMMENDED}managed-by"
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
    """``name``: for people; ``effect``: what it does; ``remedy``: how to pause it, or ''; not ``certain``:
    a guess, and the effect is what it would do.  ``alone``: whether it acts by itself, with nobody at a
    keyboard."""

    name: str
    effect: str
    remedy: str = ""
    certain: bool = True
    alone: bool = True

    def __str__(self) -> str:
        return f"{'is' if self.certain else 'may be'} managed by {self.name}, which {self.effect}"


def find_managers(item: Json) -> tuple[Manager, ...]:
    """Whoever will undo a change of *item*, an object as the API server gives it; else whoever may."""
    metadata = item.get("metadata") or {}
    labels: Mapping[str, str] = metadata.get("labels") or {}
    notes: Mapping[str, str] = metadata.get("annotations") or {}
    marks = {**labels, **notes}
    writers = _writers(metadata)
    found = [
        manager
        for manager in (
            _argo(labels, notes, writers),
            _kustomization(labels, marks),
            _helm_release(labels, marks),
            _config_sync(notes),
            *_marked(marks),
            _helm(labels, notes),
        )
        if manager is not None
    ]
    found = found or [_writer(name) for name in writers]
    certain = (*found, *_owners(metadata, controls=True))
    return certain or (*_guesses(labels, marks, _inner_labels(item)), *_owners(metadata, controls=False))


def _argo(labels: Mapping[str, str], notes: Mapping[str, str], writers: tuple[str, ...]) -> Manager | None:
    tracked = notes.get(f"{_ARGO}/tracking-id", "").partition(":")[0]
    name = tracked or labels.get(f"{_ARGO}/instance", "")
    if "Argo CD" in writers:
        name = name or labels.get(_INSTANCE, "")
    if not name:
        return None
    effect = "will put the template back at its next sync, within seconds where self-heal is on"
    remedy = f"argocd app set {name.replace('_', '/')} --sync-policy none"  # NAMESPACE_NAME on the object
    return Manager(f"Argo CD (application {name})", effect, remedy)


def _kustomization(labels: Mapping[str, str], marks: Mapping[str, str]) -> Manager | None:
    prefix = f"kustomize.{_FLUX}"
    kept = marks.get(f"{prefix}/ssa") in ("IfNotPresent", "Ignore")
    if kept or marks.get(f"{prefix}/reconcile") == "disabled":
        return None
    effect = "will put the template back when it reconciles next, usually within minutes"
    return _flux(prefix, "kustomization", labels, effect)


def _helm_release(labels: Mapping[str, str], marks: Mapping[str, str]) -> Manager | None:
    """It corrects drift only where that is switched on."""
    prefix = f"helm.{_FLUX}"
    effect = "will put the template back at its next upgrade"
    if marks.get(f"{prefix}/driftDetection") != "disabled":
        effect += ", and may do so within minutes: where its drift detection is enabled"
    return _flux(prefix, "helmrelease", labels, effect)


def _flux(prefix: str, kind: str, labels: Mapping[str, str], effect: str) -> Manager | None:
    name, space = labels.get(f"{prefix}/name"), labels.get(f"{prefix}/namespace")
    if not name:
        return None
    where = f" -n {space}" if space else ""
    return Manager(f"Flux ({kind} {name})", effect, f"flux suspend {kind} {name}{where}")


def _config_sync(notes: Mapping[str, str]) -> Manager | None:
    if notes.get("configmanagement.gke.io/managed") != "enabled":
        return None
    return Manager("Config Sync", "will put the template back at once")


def _marked(marks: Mapping[str, str]) -> tuple[Manager, ...]:
    names = sorted({name for prefix, name in _MARKS if any(key.startswith(prefix) for key in marks)})
    return tuple(Manager(name, "will put the template back when it reconciles next") for name in names)


def _helm(labels: Mapping[str, str], notes: Mapping[str, str]) -> Manager | None:
    release = notes.get("meta.helm.sh/release-name")
    if not release or any(key.startswith(f"helm.{_FLUX}/") for key in labels):
        return None  # Flux speaks for it
    effect = "will change the template at the next `helm upgrade` or `helm rollback`, not by itself"
    return Manager(f"Helm (release {release})", effect, alone=False)


def _writers(metadata: Json) -> tuple[str, ...]:
    names = {_MANAGERS.get(entry.get("manager", "")) for entry in metadata.get("managedFields") or []}
    return tuple(sorted(name for name in names if name))


def _writer(name: str) -> Manager:
    return Manager(name, "has written this object, and will put it back when it reconciles next")


def _guesses(
    labels: Mapping[str, str], marks: Mapping[str, str], inner: Mapping[str, str]
) -> tuple[Manager, ...]:
    name, managed_by = labels.get(_INSTANCE, ""), labels.get(_MANAGED_BY, "")
    meant = managed_by.lower().replace("-", "") == "argocd" or any(key.startswith(_ARGO) for key in marks)
    alone = [key for key in labels if key.startswith(_RECOMMENDED)] == [_INSTANCE]
    if meant or (alone and name and inner.get(_INSTANCE) != name):
        application = f" (application {name})" if name else ""
        unless = "" if meant else f", unless kustomize or somebody by hand wrote the label {_INSTANCE}"
        effect = f"would put the template back at its next sync{unless}"
        return (Manager(f"Argo CD{application}", effect, certain=False),)
    chart = labels.get("helm.sh/chart", "")
    if not chart and managed_by not in ("Helm", "Tiller"):
        return ()
    effect = (
        "would put the template back the next time: Argo CD, a pipeline or an older Helm, since the object "
        "has a chart's labels and no release's"
    )
    return (Manager(f"whoever applies the Helm chart {chart or name}".rstrip(), effect, certain=False),)


def _inner_labels(item: Json) -> Mapping[str, str]:
    """Those of the pods: of a workload's template, of a Service's selector."""
    spec = item.get("spec") or {}
    found: Json = (spec.get("template") or {}).get("metadata") or {"labels": spec.get("selector")}
    return found.get("labels") or {}


def _owners(metadata: Json, *, controls: bool) -> tuple[Manager, ...]:
    """Owners of another kind than Kubernetes' own, whose groups have no dot, or whatever *controls*."""
    owners = [
        owner
        for owner in metadata.get("ownerReferences") or []
        if bool(owner.get("controller")) is controls
        and (controls or "." in owner.get("apiVersion", "").partition("/")[0])
    ]
    effect = "owns this object, and may put the template back whenever it likes"
    if not controls:
        effect = "would put the template back whenever it likes: it owns this object, and perhaps controls it"
    return tuple(
        Manager(
            f"the controller of {owner['kind']} {owner['name']} ({owner.get('apiVersion', '')})",
            effect,
            certain=controls,
        )
        for owner in owners
    )


def render_pause(item: Json) -> str:
    """How a change of *item* will stay, a line each: whoever undoes it by himself has to pause."""
    fighting = [manager for manager in find_managers(item) if manager.alone]
    lines = [
        f"`{it.remedy}` pauses {it.name}" if it.remedy else f"pause {it.name} for this workload"
        for it in fighting
    ]
    somebody = "pause who writes it (auto-sync or self-heal of a GitOps tool, an operator) for this workload"
    return "\n".join([*(lines or [somebody]), "then `devcluster up` again"])


def last_writer(item: Json, *path: str) -> str:
    """``MANAGER at TIME`` of who wrote the field at *path* (``spec``, ``template``) last, after us where we
    wrote the object; '' if unknown: who only takes fields away leaves no trace."""
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

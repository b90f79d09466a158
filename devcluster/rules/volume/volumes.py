"""The pod's volumes as its container sees them, and what becomes of each on the laptop.

Rules: every mount has a plan, also those nobody wrote about (``copy``, of a volume in memory into memory); a
rule for a mount path beats one for the volume's name; a rule that fits nothing is an error, with the names
that there are; what can't be had is left out with its reason, an error only where the file asks for it.

Give it a *pod's* spec rather than a template's: only there is what admission added.  A spec still is a
prediction: what the container really mounts its agent tells (``mountinfo``).

Source: https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/volume/
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from devcluster.config.model import VolumeMode, VolumeRule, Workload
from devcluster.errors import ConfigurationError
from devcluster.rules.quantity import parse_quantity

Json = dict[str, Any]
VolumeKind = Literal[
    "claim", "configmap", "secret", "projected", "emptydir", "memory", "downward", "hostpath", "other"
]

DEFAULT_LIMIT = 1 << 30
"""Bytes of a copy, where the file says none."""

TOKEN_NAME = "service-account-token"  # noqa: S105 - a name
"""The volume that admission adds, by a name that does not change from pod to pod."""

_OURS = "/.devcluster"
_KERNEL = ("/proc", "/sys", "/dev")
_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path
_KUBELETS = ("configmap", "secret", "projected", "downward")
_KINDS: dict[str, VolumeKind] = {
    "persistentVolumeClaim": "claim",
    "ephemeral": "claim",
    "configMap": "configmap",
    "secret": "secret",
    "projected": "projected",
    "downwardAPI": "downward",
    "hostPath": "hostpath",
}


@dataclass(frozen=True, slots=True)
class PodVolume:
    """One mount.  ``sub_path``: '' or the path within the volume (an unexpanded subPathExpr, too);
    ``size_limit``: bytes, of an emptyDir; ``node_path``: of a hostPath.  What only the agent can tell:
    ``is_file``; ``inner``: paths below it where something else is mounted; ``absent``: why nothing of it can
    be had, or ''."""

    name: str
    mount_path: str
    kind: VolumeKind
    sub_path: str = ""
    read_only: bool = False
    size_limit: int | None = None
    node_path: str = ""
    is_file: bool = False
    inner: tuple[str, ...] = ()
    absent: str = ""

    @property
    def is_kubelets(self) -> bool:
        """Whether kubelet writes it, and goes on doing so: never what is mounted by a subPath."""
        return self.kind in _KUBELETS and not self.sub_path

    @property
    def is_renewed(self) -> bool:
        """Whether a whole set may be written anew in it, in kubelet's way; a CSI driver may do so, too."""
        return self.is_kubelets or (self.kind == "other" and not self.sub_path)

    @property
    def may_be_file(self) -> bool:
        """Only the pod knows; whatever else is mounted is a directory."""
        return bool(self.sub_path) or self.kind in ("hostpath", "other")


@dataclass(frozen=True, slots=True)
class VolumePlan:
    """``path`` None: a Docker volume.  ``limit``: bytes.  ``written``: the file has a rule for it;
    ``left_out``: why it is not here, though nobody turned it off."""

    volume: PodVolume
    mode: VolumeMode
    path: Path | None = None
    rewrite: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    limit: int = DEFAULT_LIMIT
    force: bool = False
    written: bool = False
    left_out: str = ""

    @property
    def in_memory(self) -> bool:
        """Whether its files are kept in memory here, too."""
        return self.volume.kind == "memory" and self.path is None and self.mode in ("copy", "empty")

    @property
    def fresh(self) -> bool:
        """Whether the copy follows the pod while the container runs.  (What a driver gives may, too.)"""
        return self.volume.is_kubelets and self.mode == "copy"

    @property
    def fate(self) -> str:
        """What happens to it, in words."""
        if self.left_out:
            return f"left out ({self.left_out})"
        if self.in_memory:
            return "memory" if self.mode == "copy" else "memory, empty"
        return f"{self.mode}, kept fresh" if self.fresh else self.mode


def pod_volumes(container: Json, volumes: Sequence[Json]) -> tuple[PodVolume, ...]:
    """The mounts of *container*, by path, so that an outer one comes before those within it."""
    by_name = {volume["name"]: volume for volume in volumes}
    found = []
    for mount in container.get("volumeMounts") or []:
        path = posixpath.normpath(mount["mountPath"])
        if path == _OURS or path.startswith(_OURS + "/"):
            continue
        found.append(_volume(mount, path, by_name.get(mount["name"], {})))
    return tuple(sorted(found, key=lambda item: item.mount_path))


def _volume(mount: Json, path: str, source: Json) -> PodVolume:
    kind = next((kind for key, kind in _KINDS.items() if source.get(key) is not None), None)
    empty = source.get("emptyDir")
    if kind is None:
        kind = "other"
        if empty is not None:
            kind = "memory" if empty.get("medium") == "Memory" else "emptydir"
    limit = (empty or {}).get("sizeLimit")
    admitted = path == _TOKEN and mount["name"].startswith("kube-api-access-")
    return PodVolume(
        name=TOKEN_NAME if admitted else mount["name"],  # it ends with random letters in each pod
        mount_path=path,
        kind=kind,
        sub_path=mount.get("subPath") or mount.get("subPathExpr") or "",
        read_only=bool(mount.get("readOnly")),
        size_limit=parse_quantity(limit) if limit is not None else None,
        node_path=(source.get("hostPath") or {}).get("path") or "",
    )


def resolve_volumes(
    volumes: Sequence[PodVolume],
    rules: Sequence[VolumeRule],
    *,
    workload: str = "",
    covered: Collection[str] = (),
) -> tuple[VolumePlan, ...]:
    """A plan for each of *volumes*; ConfigurationError for a rule that fits none.  *covered*: paths where
    the file mounts something of its own, which wins."""
    where = f"workloads.{workload}.volumes" if workload else "volumes"
    by_key = {_key(rule.key): rule for rule in rules}
    known = {item.name for item in volumes} | {item.mount_path for item in volumes}
    for key in by_key:
        if key not in known:
            near = get_close_matches(key, sorted(known), 1)
            names = ", ".join(f"{item.name} ({item.mount_path})" for item in volumes) or "none"
            hint = f"did you mean {near[0]}?" if near else f"there are: {names}"
            raise ConfigurationError(f"{where}: the pod has no volume {key}", hint=hint)
    plans = tuple(
        _plan(item, by_key.get(item.mount_path) or by_key.get(item.name), where) for item in volumes
    )
    plans = tuple(replace(plan, mode="off") if plan.volume.mount_path in covered else plan for plan in plans)
    _check_paths(plans, where)
    return plans


def covered_paths(workload: Workload) -> frozenset[str]:
    """Where the file mounts something of its own."""
    targets = [mount.target for mount in workload.mounts]
    targets += [line.partition(":")[0] for line in workload.runtime.tmpfs]
    return frozenset(posixpath.normpath(target) for target in targets)


def nested(plan: VolumePlan, plans: Sequence[VolumePlan]) -> tuple[str, ...]:
    """Patterns, as ``exclude``, for what is in *plan*'s directory by another mount.  The directory itself
    stays, to be mounted on."""
    volume = plan.volume
    paths = [other.volume.mount_path for other in plans]
    return nested_patterns(
        volume.mount_path, [*paths, *(posixpath.join(volume.mount_path, it) for it in volume.inner)]
    )


def nested_patterns(mount: str, paths: Iterable[str]) -> tuple[str, ...]:
    """The same by mount paths."""
    outer = mount.rstrip("/") + "/"
    inner = [path.removeprefix(outer) for path in paths if path.startswith(outer) and path != outer]
    return tuple(re.sub(r"[*?[\\]", r"\\\g<0>", path) + "/**" for path in dict.fromkeys(inner))


def _key(key: str) -> str:
    return posixpath.normpath(key) if key.startswith("/") else key


def _plan(volume: PodVolume, rule: VolumeRule | None, where: str) -> VolumePlan:
    absent = _kernels(volume) or volume.absent
    if rule is None:
        absent = absent or ("the node's whole disk" if volume.node_path == "/" else "")
        return VolumePlan(volume, "off" if absent else "copy", left_out=absent)
    if absent and rule.mode != "off":
        hint = "take the rule away, or write `mode: off`"
        raise ConfigurationError(f"{where}: {rule.key} can't be had: {absent}", hint=hint)
    limit = DEFAULT_LIMIT if rule.limit is None else rule.limit
    mode: VolumeMode = "copy" if rule.mode == "sync" and volume.is_kubelets else rule.mode
    return VolumePlan(volume, mode, rule.path, rule.rewrite, rule.exclude, limit, rule.force, written=True)


def _kernels(volume: PodVolume) -> str:
    """What an agent of the node has of its kernel are no files that could be copied."""
    top = next((it for it in _KERNEL if f"{volume.node_path}/".startswith(f"{it}/")), "")
    return f"the node's {top}" if top else ""


def _check_paths(plans: Sequence[VolumePlan], where: str) -> None:
    """Two mounts in one folder would fill and empty it in turn."""
    seen: dict[Path, str] = {}
    for plan in plans:
        if plan.path is None or plan.mode == "off":
            continue
        other = seen.setdefault(plan.path, plan.volume.mount_path)
        if other != plan.volume.mount_path:
            raise ConfigurationError(
                f"{where}: {other} and {plan.volume.mount_path} would share the folder {plan.path}",
                hint="give each mount path a rule with its own `path`",
            )


def labelled(plans: Sequence[VolumePlan]) -> list[tuple[VolumePlan, str]]:
    """Each with a name that is unique in this workload."""
    names = [plan.volume.name for plan in plans]
    return [
        (plan, plan.volume.name if names.count(plan.volume.name) == 1 else plan.volume.mount_path)
        for plan in plans
    ]

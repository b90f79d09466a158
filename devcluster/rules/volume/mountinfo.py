"""What a container really mounts, by its agent, matched with its pod's spec.

The problem: webhooks, node plugins and runtimes add mounts that stand in no template, and some of a spec
can't be read.  The kernel knows exactly what is mounted, but no names; the spec has the names, kinds and
rules of renewal, but paths that lead through the image's links.

Rules:
- a mount of the spec is the kernel's at the path where it really leads; one that the kernel does not have is
  absent, by name;
- a mount that the spec does not have is one more volume, called by its path.  What kubelet renews (a token, a
  secret of a driver) is renewed here, too;
- a mount within another that only the kernel has belongs to that one (a node's folder brings along what is
  mounted below it), and is not copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from devcluster.rules.agent.facts import PodFacts, PodMount
from devcluster.rules.volume.volumes import PodVolume

_KERNEL = frozenset(
    (
        *("proc", "sysfs", "cgroup", "cgroup2", "devtmpfs", "devpts", "mqueue", "bpf", "debugfs", "tracefs"),
        *("securityfs", "configfs", "pstore", "hugetlbfs", "efivarfs", "binfmt_misc"),
    )
)


def mounted_volumes(spec: Sequence[PodVolume], facts: PodFacts) -> tuple[PodVolume, ...]:
    """*spec*'s volumes as the container has them, and what else it mounts; by path.  *facts*: with the
    ``real`` paths of the spec's."""
    mounts = {mount.path: mount for mount in facts.mounts}
    places = [facts.real.get(volume.mount_path, volume.mount_path) for volume in spec]
    known = [
        _as_mounted(volume, mounts.get(place), place, mounts)
        for volume, place in zip(spec, places, strict=True)
    ]
    others = [mount for mount in facts.mounts if mount.path not in places]
    tops = [mount for mount in others if not _is_within(mount.path, [*places, *(it.path for it in others)])]
    more = [_as_mounted(_unknown(mount), mount, mount.path, mounts) for mount in tops]
    return tuple(sorted((*known, *more), key=lambda item: item.mount_path))


def _is_within(path: str, others: Sequence[str]) -> bool:
    return any(path.startswith(other.rstrip("/") + "/") for other in others if other != path)


def _unknown(mount: PodMount) -> PodVolume:
    return PodVolume(mount.path, mount.path, "other", read_only=mount.read_only)


def _as_mounted(
    volume: PodVolume, mount: PodMount | None, place: str, mounts: dict[str, PodMount]
) -> PodVolume:
    if mount is None:
        return replace(volume, absent="the container has no such mount")
    inner = tuple(path.removeprefix(place + "/") for path in mounts if path.startswith(place + "/"))
    seen = replace(volume, is_file=mount.is_file, inner=inner)
    if mount.kind in _KERNEL:
        return replace(seen, absent="the kernel's, not files")
    if seen.kind == "other" and mount.projected:
        return replace(seen, kind="projected")
    if seen.kind == "other" and mount.kind == "tmpfs":
        seen = replace(seen, kind="memory")
    return replace(seen, size_limit=mount.size or seen.size_limit) if seen.kind == "memory" else seen

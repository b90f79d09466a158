"""The copies of a workload that runs as a process: at the pod's paths, below one folder of the state folder.

A process has no mounts, so its program is told where they are: DEVCLUSTER_ROOT is that folder.  What has a
`path:` of its own lies there instead.  Beside the folder is a list of what is in it, by which `down`
distinguishes what was changed here from what came from the pod.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from devcluster.edge.folder.folder import FolderDestination
from devcluster.edge.folder.one_file import FileDestination
from devcluster.rules.counted import counted
from devcluster.rules.volume.volumes import nested_patterns
from devcluster.run.place import Place, make_private
from devcluster.run.private_file import write_private
from devcluster.run.volume.live_note import forget_copy, load_note, note_path
from devcluster.run.volume.private_copy import describe_local_changes, manifest_path
from devcluster.run.volume.removing import Kept, describe_unsent
from devcluster.run.wanted.wanted import Wanted


def root_of(place: Place, key: str) -> Path:
    """DEVCLUSTER_ROOT of the workload *key*."""
    return _folder(place) / key / "root"


def mounts_below(place: Place, wanted: Wanted) -> tuple[str, ...]:
    """The pod's paths of what lies there, or will after the first fill."""
    if filled := _mounts(place, wanted.workload.key):
        return tuple(path for path, _ in filled)
    return tuple(
        plan.volume.mount_path for plan in wanted.volumes if plan.path is None and plan.mode != "off"
    )


def destination_below(
    place: Place, key: str, mount: str, file: str = ""
) -> FolderDestination | FileDestination:
    """Where the copy of *mount* lies; *file*: the name of the one file that it is, or ''."""
    path = root_of(place, key) / mount.lstrip("/")
    return FileDestination(path, file) if file else FolderDestination(path, private=True)


def note_mounts(place: Place, key: str, mounts: Iterable[tuple[str, str]]) -> None:
    """Remember what is filled there: the pod's path, and the file's name or ''."""
    make_private(_folder(place) / key)
    write_private(_list(place, key), json.dumps(sorted(mounts)).encode())


async def remove_roots(place: Place, only: Collection[str] = (), *, changed: bool = False) -> list[Kept]:
    """Remove those of the workloads *only* (none: of all); *changed*: also what was changed here.  Return
    what is kept."""
    kept = []
    folder = _folder(place)
    for key in sorted(path.name for path in folder.iterdir()) if folder.is_dir() else ():
        if only and key not in only:
            continue
        mounts = _mounts(place, key)
        if (left := _unsent(place, key, mounts)) is not None:
            root = root_of(place, key)
            kept.append(describe_unsent(f"folder {root}", left, "removing it"))
            continue
        changes = 0 if changed else await _count_changes(place, key, mounts)
        if changes:
            root = root_of(place, key)
            made = counted(changes, "change", "changes")
            kept.append(Kept(f"kept: folder {root} has {made} made here; `down -v` removes it"))
            continue
        for mount, file in mounts:
            forget_copy(manifest_path(place, destination_below(place, key, mount, file)))
        await asyncio.to_thread(shutil.rmtree, folder / key)
    return kept


def _unsent(place: Place, key: str, mounts: list[tuple[str, str]]) -> str | None:
    """What of the live ones is not in the pod, in words; None where everything is."""
    manifests = (manifest_path(place, destination_below(place, key, *mount)) for mount in mounts)
    notes = (load_note(note_path(manifest)) for manifest in manifests)
    return next((note.left for note in notes if note is not None and not note.equal), None)


async def _count_changes(place: Place, key: str, mounts: list[tuple[str, str]]) -> int:
    count = 0
    paths = [mount for mount, _ in mounts]
    for mount, file in mounts:
        destination = destination_below(place, key, mount, file)
        if load_note(note_path(manifest_path(place, destination))) is not None:
            continue
        inner = nested_patterns(mount, paths)
        count += len(await describe_local_changes(destination, manifest_path(place, destination), inner))
    return count


def _mounts(place: Place, key: str) -> list[tuple[str, str]]:
    try:
        return [(mount, file) for mount, file in json.loads(_list(place, key).read_text())]
    except (FileNotFoundError, ValueError):  # a fill that was killed at its very beginning
        return []


def _list(place: Place, key: str) -> Path:
    return _folder(place) / key / "mounts.json"


def _folder(place: Place) -> Path:
    return place.state / "mounts"

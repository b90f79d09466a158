"""Folders of the laptop that the file names: what is wrong with them is found before anything is changed.

The container's start and the volumes' fill have the last word; this only avoids a roll-out for nothing.  They
make a missing folder, as Compose does, so here it is asked whether it can be made.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from devcluster.edge.folder.folder import FolderDestination
from devcluster.errors import ConfigurationError
from devcluster.rules.volume.volumes import PodVolume
from devcluster.run.place import Place
from devcluster.run.volume.live_note import load_note, note_path
from devcluster.run.volume.manifest import load_manifest
from devcluster.run.volume.private_copy import manifest_path
from devcluster.run.wanted.wanted import Wanted


async def check_folders(place: Place, wanted: Sequence[Wanted]) -> None:
    """ConfigurationError for what can't be mounted or filled, or would be filled by two volumes."""
    await asyncio.to_thread(_check, place, wanted)


def _check(place: Place, wanted: Sequence[Wanted]) -> None:
    owners: dict[Path, str] = {}
    for item in wanted:
        where = f"workloads.{item.workload.key}"
        for mount in item.workload.mounts:
            if mount.kind == "bind":
                _check_bind(f"{where}.mounts", Path(mount.source), create=mount.create)
        for path, volume in _filled(item):
            _check_parent(f"{where}.volumes", path)
            _check_alone(owners, path, f"{where}.volumes: {volume.mount_path}")
            if not volume.may_be_file:
                destination = FolderDestination(path)
                destination.check(ours=_is_ours(manifest_path(place, destination)))


def _filled(item: Wanted) -> Iterator[tuple[Path, PodVolume]]:
    for plan in item.volumes:
        if plan.path is not None and plan.mode != "off":
            yield plan.path, plan.volume


def _is_ours(manifest: Path) -> bool:
    """Whether what is there came from devcluster, in whatever mode."""
    return load_manifest(manifest) is not None or load_note(note_path(manifest)) is not None


def _check_bind(where: str, source: Path, *, create: bool) -> None:
    if os.path.exists(source):
        return
    if not create:
        raise ConfigurationError(
            f"{where}: {source} does not exist, and create_host_path is false",
            hint="make it, or remove create_host_path",
        )
    _check_parent(where, source)


def _check_parent(where: str, path: Path) -> None:
    """Whether a missing *path* can be made: Docker, or we, would fail much later."""
    if os.path.exists(path):
        return
    there = next(parent for parent in path.parents if os.path.lexists(parent))
    why = "is not a folder" if not os.path.isdir(there) else ""
    if not why and not os.access(there, os.W_OK | os.X_OK):
        why = "is not writable"
    if why:
        raise ConfigurationError(
            f"{where}: {path} can't be made: {there} {why}", hint="choose another folder"
        )


def _check_alone(owners: dict[Path, str], path: Path, title: str) -> None:
    """Of two volumes in one folder, or one within the other's, each would remove the other's files."""
    for other, owner in owners.items():
        if path == other or path in other.parents or other in path.parents:
            raise ConfigurationError(
                f"{title} and {owner} would share the folder {min(path, other)}",
                hint="choose separate folders",
            )
    owners[path] = title

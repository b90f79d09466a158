"""How the engine of a live volume is started: its flags, and a container or a plain process to run it."""

from __future__ import annotations

import os
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from devcluster.edge.docker.files import VolumeDestination
from devcluster.edge.docker.live import LivePlace, open_live
from devcluster.edge.folder.folder import FolderDestination
from devcluster.edge.streams import Streams, open_program
from devcluster.rules.container.docker_names import volume_name
from devcluster.rules.volume.datafolder import PATTERNS
from devcluster.rules.volume.volumes import VolumePlan
from devcluster.run.site import Site, live_program
from devcluster.run.volume.live_note import memory_path
from devcluster.run.volume.one_fill import Rewriting


@dataclass(frozen=True, slots=True)
class LiveSpec:
    """``label``: the volume's name for people; ``exclude``: what never travels; ``hosted``: a process has it,
    which mounts nothing; ``volume``: which one of the pod."""

    label: str
    plan: VolumePlan
    exclude: tuple[str, ...]
    rewrite: Rewriting | None
    hosted: bool
    volume: str

    @property
    def mount(self) -> str:
        """Where the container has it."""
        return self.plan.volume.mount_path


@dataclass(frozen=True, slots=True)
class Laptop:
    """Where the volume lies on the laptop.  ``note``: the file of its note, beside which the engine's memory
    is."""

    site: Site
    key: str
    destination: VolumeDestination | FolderDestination
    note: Path


def open_engine(place: Laptop, spec: LiveSpec, identity: str) -> AbstractAsyncContextManager[Streams]:
    """The streams of a new engine.  *identity*: which copy it is; another copy begins without a memory."""
    flags = [*_flags(spec), "--copy", identity]
    return _program(place, flags) if spec.hosted else _container(place, spec, flags)


def _program(place: Laptop, flags: list[str]) -> AbstractAsyncContextManager[Streams]:
    folder = place.destination
    assert isinstance(folder, FolderDestination)
    memory = memory_path(place.note)
    memory.mkdir(mode=0o700, parents=True, exist_ok=True)
    words = ["sync", str(folder.folder), "--state", str(memory / "state"), *flags]
    own = [] if folder.owners else ["--no-owners"]
    return open_program(live_program(), [*words, *own], place.site.place.log)


def _container(place: Laptop, spec: LiveSpec, flags: list[str]) -> AbstractAsyncContextManager[Streams]:
    project, copy = place.site.place.id, place.destination
    where = LivePlace(project, place.key, copy.name)
    if isinstance(copy, FolderDestination):
        name = volume_name(project, place.key, spec.label)
        where = LivePlace(project, place.key, name, copy.folder, memory_path(place.note))
        flags = [*flags, *([] if copy.owners else ["--share", f"{os.getuid()}:{os.getgid()}"])]
    return open_live(place.site.engine, where, flags)


def _flags(spec: LiveSpec) -> list[str]:
    rewrite = spec.rewrite.patterns if spec.rewrite is not None else ()
    flags = ["--volume", spec.volume]
    for name, patterns in (("--exclude", spec.exclude), ("--rewrite", rewrite)):
        flags += [word for pattern in patterns for word in (name, pattern)]
    flags += [] if spec.plan.force else [word for name in PATTERNS for word in ("--database", name)]
    return flags + (["--one-way"] if spec.plan.volume.read_only else [])

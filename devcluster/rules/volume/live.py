"""A live volume as it is told: which it is, how it stands, and what could not be brought over.  Pure.

What the engine says (docs/architecture.md, "Live volumes") names files relative to the volume's root; people
name them as the container sees them.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devcluster.errors import ConfigurationError
from devcluster.rules.volume.datafolder import find_data_folder, name_database
from devcluster.rules.volume.tree import Tree
from devcluster.rules.volume.volumes import PodVolume, VolumePlan

Json = Mapping[str, Any]
_NAMED = 3
_TORN = "each file is sent by itself, so a copy is torn until both sides are at rest (`mode: copy` is for it)"


@dataclass(frozen=True, slots=True)
class Left:
    """What a flush has not made equal.  ``paths``: as the container sees them, each with the reason;
    ``held``: of deletions that nobody believes, how many and on which side; ``pending``: what there was no
    time for; ``reached``: the pod was there."""

    paths: tuple[tuple[str, str], ...] = ()
    held: tuple[tuple[str, int], ...] = ()
    pending: int = 0
    reached: bool = True

    def __bool__(self) -> bool:
        return bool(self.paths or self.held or self.pending or not self.reached)

    def __str__(self) -> str:
        parts = [f"{render_path(path)} ({why})" for path, why in self.paths[:_NAMED]]
        parts += [f"{len(self.paths) - _NAMED} more"] if len(self.paths) > _NAMED else []
        parts += [
            f"{count} deletions on the {'laptop' if side == 'laptop' else 'pod'}, held back"
            for side, count in self.held
        ]
        if not self.reached:
            parts.append("the pod could not be reached")
        elif self.pending:
            parts.append(f"{self.pending} names there was no time for")
        return ", ".join(parts)


def parse_left(mount: str, answer: Json) -> Left:
    """The engine's answer to ``flush``."""
    left = [(item["path"], item["why"]) for item in answer["left"]]
    return Left(
        tuple((inside(mount, path), why) for path, why in left if not _is_the_pod(path, why)),
        tuple((item["deleted_on"], item["count"]) for item in answer["held_back"]),
        answer["pending"],
        not any(_is_the_pod(path, why) for path, why in left),
    )


def _is_the_pod(path: str, why: str) -> bool:
    """How the engine says that it has no connection: no file is called so."""
    return path == "." and why == "the pod can't be reached"


def inside(mount: str, path: str) -> str:
    """A path of the volume as the container sees it."""
    return mount if path == "." else posixpath.join(mount, path)


def render_path(path: str, *, word: bool = False) -> str:
    """As people read it, or as a *word* of a command; a name that can't be printed is what a shell makes it
    from."""
    if path.isprintable():
        return shlex.quote(path) if word else path
    letters = (it if it.isprintable() and it not in "\\'" else _escaped(it) for it in path)
    return f"$'{''.join(letters)}'"


def _escaped(letter: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in letter.encode("utf-8", "surrogateescape"))


def describe(mount: str, status: Json) -> dict[str, Any]:
    """What ``status -o json`` says of it, from what the engine says."""
    return {
        "files": status.get("files", 0),
        "bytes": status.get("bytes", 0),
        "pending": status.get("pending", 0),
        "conflicts": _named(mount, status.get("conflicts")),
        "last_sent": status.get("last_sent"),
        "last_received": status.get("last_received"),
        "problems": _named(mount, status.get("problems")),
        "held_back": [
            {**item, "paths": [inside(mount, path) for path in item["paths"]]}
            for item in status.get("held_back") or ()
        ],
        "databases": [
            {"path": inside(mount, path), "why": f"it is {name_database(path)}'s: {_TORN}"}
            for path in status.get("databases") or ()
        ],
        "trouble": status.get("trouble") or "",
        "unwatched": status.get("unwatched") or "",
    }


def _named(mount: str, items: Iterable[Json] | None) -> list[dict[str, str]]:
    return [{"path": inside(mount, item["path"]), "why": item["why"]} for item in items or ()]


def find_mount(mounts: Sequence[str], path: str) -> tuple[str, str] | None:
    """Which of *mounts* has *path*, as the container sees it, and what it is called there."""
    path = posixpath.normpath(path)
    for mount in sorted(mounts, key=len, reverse=True):
        if path == mount:
            return mount, "."
        if path.startswith(mount.rstrip("/") + "/"):
            return mount, path.removeprefix(mount.rstrip("/") + "/")
    return None


def check_live(plan: VolumePlan, label: str, pod: Tree, *, single: bool) -> None:
    """ConfigurationError where *plan*'s volume, which holds *pod*, can't be synced."""
    if single:
        raise ConfigurationError(
            f"volume {label} ({plan.volume.mount_path}) is a single file, and only folders can be synced",
            hint="`mode: copy` has it; or sync the volume that it comes from where that is mounted whole",
        )
    found = None if plan.force else find_data_folder(pod)
    if found is None:
        return
    kind, path = found
    raise ConfigurationError(
        f"volume {label} holds a data folder of {kind} ({path}): its files change together, and one that is "
        "sent by itself is torn",
        hint="`mode: copy` with `order: stop-first` copies it while nobody writes; `force: true` syncs it "
        "all the same",
    )


def live_mounts(plans: Iterable[VolumePlan]) -> tuple[str, ...]:
    """Where the agent may change files."""
    return tuple(
        sorted(it.volume.mount_path for it in plans if it.mode == "sync" and not it.volume.read_only)
    )


def stays_here(plans: Iterable[tuple[VolumePlan, str]]) -> str:
    """That what is written to a private copy stays on the laptop; '' where nobody would expect otherwise."""
    names = [label for plan, label in plans if plan.mode == "copy" and is_writable(plan.volume)]
    if not names:
        return ""
    return f"what is written to {', '.join(names)} stays on this laptop (`mode: sync` sends it to the pod)"


def is_writable(volume: PodVolume) -> bool:
    """Whether the application writes there, in the pod."""
    return not volume.read_only and not volume.is_kubelets

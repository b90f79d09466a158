"""What is in a folder of the laptop, listed as the agent lists its own tree."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from devcluster.config.text.globs import matches
from devcluster.rules.volume.tree import Entry, EntryType

PART = ".devcluster-part-"
"""Begins the name of a file that is being written: no file yet."""


def scan(folder: Path, exclude: Sequence[str] = (), stale: list[str] | None = None) -> Iterator[Entry]:
    """The tree below *folder* in walk order; nothing for a folder that does not exist.  *stale* collects the
    names of half-written files."""
    if not folder.is_dir():
        return
    walk = _Walk(os.fsencode(folder), exclude, {}, [] if stale is None else stale)
    yield from _walk(walk, ".")


@dataclass(frozen=True, slots=True)
class _Walk:
    """``first``: the first name of each inode that has several; ``stale``: half-written files."""

    root: bytes
    exclude: Sequence[str]
    first: dict[tuple[int, int], str]
    stale: list[str]


def _walk(walk: _Walk, path: str) -> Iterator[Entry]:
    full = walk.root if path == "." else os.path.join(walk.root, os.fsencode(path))
    try:
        entry = _describe(full, path, walk.first)
        names = sorted(os.listdir(full)) if entry is not None and entry.type == "d" else []
    except (FileNotFoundError, PermissionError):
        return
    if entry is None:
        return
    yield entry
    for name in names:
        below = os.fsdecode(name) if path == "." else f"{path}/{os.fsdecode(name)}"
        if name.startswith(os.fsencode(PART)):
            walk.stale.append(below)
        elif not matches(below, walk.exclude):
            yield from _walk(walk, below)


def _describe(full: bytes, path: str, first: dict[tuple[int, int], str]) -> Entry | None:
    found = os.lstat(full)
    kinds: dict[int, EntryType] = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFIFO: "p"}
    kind = kinds.get(stat.S_IFMT(found.st_mode))
    if kind is None:
        return None
    link = os.fsdecode(os.readlink(full)) if kind == "l" else ""
    size = found.st_size if kind == "f" else 0
    mode = stat.S_IMODE(found.st_mode)
    entry = Entry(path, kind, mode, found.st_uid, found.st_gid, size, found.st_mtime_ns, link)
    if kind == "f" and found.st_nlink > 1:
        earlier = first.setdefault((found.st_dev, found.st_ino), path)
        if earlier != path:
            return replace(entry, type="h", size=0, link=earlier)
    return entry

"""A volume's tree as data, and what a fill must do to a private copy of it.  Pure.

The problem: the pod's volume and its copy on the laptop both change.  The copy is the developer's: what she
changed is never overwritten silently, and what she left alone follows the pod.

Rules:
- two memories decide, not one: the pod's tree and the copy's tree, each as it was after the last fill.
  Comparing the copy with the pod cannot tell whose change a difference is;
- a name that changed only in the pod is copied; only here: it stays; in both: it stays and is reported
  (``kept``) at each fill until one side gives way;
- a directory is never replaced or removed while something of hers is in it;
- a database's folder is one thing: once a file in it changed here, all of it stays (``keep_together``);
- only the bytes of files travel; directories, links and pipes are made from what the scan told.

Entries are those of the agent's ``files`` (``docs/architecture.md``); a path that is no UTF-8 is decoded
with ``surrogateescape``.
"""

from __future__ import annotations

import base64
import posixpath
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

EntryType = Literal["f", "d", "l", "h", "p"]
_KINDS = get_args(EntryType)
Tree = Mapping[str, "Entry"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One name.  ``path`` is relative to the root, ``.`` the root itself; ``link``: a symbolic link's
    target, or the first path of a hard link's inode; ``disk``: bytes on disk, where a file has holes."""

    path: str
    type: EntryType
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    link: str = ""
    disk: int | None = field(default=None, compare=False)

    @property
    def weight(self) -> int:
        """Bytes that travel, and count."""
        return self.size if self.disk is None else self.disk


@dataclass(frozen=True, slots=True)
class FillPlan:
    """``fetch``: files whose bytes travel; ``make``: what is made from the scan; ``delete``: gone from the
    pod, each name before the directory it is in; ``kept``: changed on both sides; ``whole``: all of the pod's
    tree is fetched or made."""

    fetch: tuple[str, ...]
    make: tuple[Entry, ...]
    delete: tuple[str, ...]
    kept: tuple[str, ...]
    whole: bool

    @property
    def nothing(self) -> bool:
        return not (self.fetch or self.make or self.delete)

    @property
    def touched(self) -> frozenset[str]:
        return frozenset(self.fetch) | {entry.path for entry in self.make}


def parse_entry(line: Mapping[str, Any]) -> Entry:
    """One JSON line of a scan."""
    return Entry(
        path=_name(line, "path"),
        type=line["type"],
        mode=int(line.get("mode", 0)),
        uid=int(line.get("uid", 0)),
        gid=int(line.get("gid", 0)),
        size=int(line.get("size", 0)),
        mtime_ns=int(line.get("mtime_ns", 0)),
        link=_name(line, "link"),
        disk=line.get("disk"),
    )


def _name(line: Mapping[str, Any], key: str) -> str:
    if coded := line.get(f"{key}64"):
        return base64.b64decode(coded).decode("utf-8", "surrogateescape")
    return str(line.get(key, ""))


def render_entry(entry: Entry) -> dict[str, Any]:
    """The line that ``parse_entry`` reads."""
    numbers = {name: getattr(entry, name) for name in ("type", "mode", "uid", "gid", "size", "mtime_ns")}
    return _coded("path", entry.path) | numbers | (_coded("link", entry.link) if entry.link else {})


def _coded(key: str, text: str) -> dict[str, Any]:
    try:
        text.encode()
    except UnicodeEncodeError:
        return {f"{key}64": base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()}
    return {key: text}


def parse_tree(lines: Iterable[Mapping[str, Any]]) -> dict[str, Entry]:
    """Without what does not travel at all."""
    return {entry.path: entry for entry in (parse_entry(it) for it in lines if it["type"] in _KINDS)}


def parse_left_out(lines: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The names whose content does not travel, with the reason: a socket, a device, what is unreadable.
    Without ``lost+found``, which is the file system's own."""
    found = {_name(line, "path"): str(line["left_out"]) for line in lines if line.get("left_out")}
    return {name: reason for name, reason in found.items() if name != "lost+found"}


def tree_size(tree: Tree) -> tuple[int, int]:
    """(bytes, files)."""
    files = [entry.weight for entry in tree.values() if entry.type == "f"]
    return sum(files), len(files)


def largest(tree: Tree) -> tuple[tuple[str, int], ...]:
    """The three largest names at the top of a tree, with what is below them: what ``exclude`` could name."""
    sizes: dict[str, int] = {}
    for entry in tree.values():
        top, _, rest = entry.path.partition("/")
        if entry.type == "f":
            shown = f"{top}/**" if rest else top
            sizes[shown] = sizes.get(shown, 0) + entry.weight
    return tuple(sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:3])


def local_changes(before: Tree, now: Tree) -> frozenset[str]:
    """Names added, changed or removed in the copy.  A directory's time says only that its content did."""
    return frozenset(path for path in before.keys() | now.keys() if _differs(before.get(path), now.get(path)))


def _differs(one: Entry | None, other: Entry | None, *, times: bool = False) -> bool:
    if one is None or other is None or one.type != other.type:
        return one is not other
    if one.type == "d" and not times:
        return (one.mode, one.uid, one.gid) != (other.mode, other.uid, other.gid)
    if one.type == "d":
        return (one.mode, one.uid, one.gid, one.mtime_ns) != (
            other.mode,
            other.uid,
            other.gid,
            other.mtime_ns,
        )
    if one.type == "h":
        return one.link != other.link  # the rest belongs to the inode
    return one != other


def plan_fill(
    pod_before: Tree,
    pod_now: Tree,
    local_before: Tree,
    local_now: Tree,
    *,
    again: Collection[str] = (),
    owners: bool = True,
) -> FillPlan:
    """What makes the copy follow the pod.  *again*: fetched though the pod did not change them (their
    rewriting did); *owners* False: the copy can't have the pod's owners, so they don't count."""
    mine = local_changes(local_before, local_now)
    guard = _Guard(mine, local_before, local_now)
    kept: set[str] = set()
    wanted: dict[str, Entry] = {}
    for path, entry in pod_now.items():
        changed = path in again or _differs(pod_before.get(path), entry, times=True)
        if not changed or (path not in again and same(entry, local_now.get(path), owners=owners)):
            continue
        if guard.blocks(path, entry):
            if entry.type != "d" or _differs(pod_before.get(path), entry):
                kept.add(path)
        else:
            wanted[path] = entry
    wanted |= _links_to(wanted, pod_now, mine)
    gone = [path for path in pod_before if path not in pod_now and path in local_now]
    delete = {path for path in gone if not guard.blocks(path, None)}
    kept |= {path for path in gone if path not in delete and local_now[path].type != "d"}
    fetch = tuple(sorted(path for path, entry in wanted.items() if entry.type == "f"))
    make = sorted((entry for entry in wanted.values() if entry.type != "f"), key=_order)
    whole = not pod_before and len(wanted) == len(pod_now)
    return FillPlan(fetch, tuple(make), tuple(sorted(delete, reverse=True)), tuple(sorted(kept)), whole)


def keep_together(plan: FillPlan, mine: Collection[str], folder: str) -> FillPlan:
    """*plan* without what is in *folder* ('' for the root), if any of it is among *mine*: a part of it from
    the pod beside a part from here is a database that neither side has had."""

    def inside(path: str) -> bool:
        return path != "." and (not folder or path.startswith(f"{folder}/"))

    if not any(map(inside, mine)):
        return plan
    left = [path for path in (*plan.fetch, *plan.delete) if inside(path)]
    left += [entry.path for entry in plan.make if inside(entry.path) and entry.type != "d"]
    return replace(
        plan,
        fetch=tuple(path for path in plan.fetch if not inside(path)),
        make=tuple(entry for entry in plan.make if not inside(entry.path)),
        delete=tuple(path for path in plan.delete if not inside(path)),
        kept=tuple(sorted({*plan.kept, *left})),
        whole=False,
    )


def _order(entry: Entry) -> tuple[int, str]:
    """Directories before what is in them, hard links after all that they may name."""
    return "dlpfh".index(entry.type), entry.path


def same(entry: Entry, here: Entry | None, *, owners: bool = True) -> bool:
    """The copy has *entry* already."""
    if here is None:
        return False
    if not owners:
        here = replace(here, uid=entry.uid, gid=entry.gid)
    return not _differs(entry, here, times=True)


def _links_to(wanted: Tree, pod_now: Tree, mine: Collection[str]) -> dict[str, Entry]:
    """A file that is written anew has a new inode: its other names must be made anew too."""
    return {
        path: entry
        for path, entry in pod_now.items()
        if entry.type == "h" and entry.link in wanted and path not in mine
    }


class _Guard:
    """What must not be touched because the developer changed it, or something in it."""

    def __init__(self, mine: frozenset[str], before: Tree, now: Tree) -> None:
        self._mine = mine - {"."} if "." not in before else mine
        self._now = now
        self._before = before
        self._around = {parent for path in mine if path in now for parent in parents(path)}

    def blocks(self, path: str, becomes: Entry | None) -> bool:
        if path in self._mine:
            both = becomes is not None and becomes.type == "d" and self._is_directory(path)
            return not (both and path not in self._before)  # a directory that both made is no conflict
        if path in self._around and (becomes is None or becomes.type != "d"):
            return True
        return any(parent in self._mine and not self._is_directory(parent) for parent in parents(path))

    def _is_directory(self, path: str) -> bool:
        found = self._now.get(path)
        return found is not None and found.type == "d"


def parents(path: str) -> tuple[str, ...]:
    """The directories above *path*, without the root: ``a/b/c`` gives ``a/b`` and ``a``."""
    result: list[str] = []
    while (path := posixpath.dirname(path)) not in ("", "."):
        result.append(path)
    return tuple(result)


def topmost(paths: Collection[str]) -> tuple[str, ...]:
    """Without what lies in another of them: removing a directory takes its content along."""
    return tuple(sorted(path for path in paths if not any(parent in paths for parent in parents(path))))

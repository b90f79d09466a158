"""Mode ``copy``: a private copy of one of the pod's volumes, filled once and then kept in step.

The problem: a volume is large, the link is slow, and the copy is the developer's to change.  So a fill
moves only what changed in the pod, leaves alone what changed here and says so, and can be broken off at
any moment: the next one goes on.

Rules:
- what is to come is written down before it comes (``pending``), and what the two trees are afterwards
  (``rules/tree.py`` decides from it); the file is ours alone (0600): names can tell secrets too;
- the size is known, and may be refused, before the first byte moves;
- rewriting happens in the stream: the pod's own files are only read;
- what the stream really brought is what counts, not what the scan had promised.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from devcluster.errors import ConfigurationError
from devcluster.rules.rewriting import LARGEST, LineRewrite, rewrite_text
from devcluster.rules.tarstream import END, Member, TarReader, padding, render_head
from devcluster.rules.tree import (
    Entry,
    FillPlan,
    largest,
    local_changes,
    matches,
    parents,
    parse_tree,
    plan_fill,
    render_entry,
    same,
    tree_size,
)

DEFAULT_LIMIT = 2 << 30
"""Bytes; where the file says none."""

Lines = Sequence[Mapping[str, Any]]
Report = Callable[[int, int, int, int], None]
"""bytes, files, of bytes, of files."""


class TreeSource(Protocol):
    """The pod's side: the agent's ``files``."""

    async def scan(self, root: str, exclude: Sequence[str]) -> Lines: ...

    def pack(
        self, root: str, exclude: Sequence[str], paths: Sequence[str] | None
    ) -> AsyncIterator[bytes]: ...


class Target(Protocol):
    """The laptop's side: ``edge.engine_files.VolumeTarget`` or ``edge.files.FolderTarget``.  ``owners``: it
    can have the pod's; ``atomic``: a fill that is broken off leaves no half file under a name."""

    name: str
    owners: bool
    atomic: bool

    async def scan(self, exclude: Sequence[str]) -> Lines: ...

    async def apply(self, delete: Sequence[str], stream: AsyncIterator[bytes]) -> None: ...


@dataclass(frozen=True, slots=True)
class Rewriting:
    """In files that match *patterns* (as ``exclude``) the hosts that name one of *services*."""

    patterns: tuple[str, ...]
    services: tuple[str, ...]
    namespace: str

    @property
    def digest(self) -> str:
        """Changes when a file would be rewritten otherwise."""
        return hashlib.sha256(repr((sorted(self.services), self.namespace)).encode()).hexdigest()[:16]

    def apply(self, content: bytes) -> tuple[bytes, tuple[LineRewrite, ...]]:
        return rewrite_text(content, services=self.services, namespace=self.namespace)


@dataclass(frozen=True, slots=True)
class FileRewrite:
    """Where a Service's name was qualified; ``line`` from 1."""

    path: str
    line: int
    service: str
    to: str


@dataclass(frozen=True, slots=True)
class FillResult:
    """``files``, ``bytes``: of the whole volume; ``changed``: names that this fill made or removed;
    ``moved``: bytes that travelled; ``kept_local``: changed here and in the pod, left alone."""

    files: int
    bytes: int
    changed: int
    moved: int
    kept_local: tuple[str, ...] = ()
    rewrites: tuple[FileRewrite, ...] = ()


@dataclass(slots=True)
class Manifest:
    """What the last fill left: the pod's tree and the copy's; ``pending``: what a fill had begun."""

    pod: dict[str, Entry] = field(default_factory=dict)
    local: dict[str, Entry] = field(default_factory=dict)
    pending: dict[str, Entry] = field(default_factory=dict)
    rewrites: tuple[FileRewrite, ...] = ()
    patterns: tuple[str, ...] = ()
    digest: str = ""


async def fill_volume(
    *,
    source: TreeSource,
    root: str,
    target: Target,
    previous: Path,
    exclude: Sequence[str] = (),
    limit: int | None = None,
    rewrite: Rewriting | None = None,
    report: Report | None = None,
    label: str = "",
) -> FillResult:
    """Make *target* follow the pod's *root*.  *previous*: where what we know of it is kept; *label*: the
    volume's name for messages.  ConfigurationError beyond *limit* bytes, before anything moves."""
    known = load_manifest(previous)
    manifest = known or Manifest()
    check = getattr(target, "check", None)
    if check is not None:
        check(ours=known is not None)
    pod_lines, local_lines = await asyncio.gather(source.scan(root, exclude), target.scan(exclude))
    pod, local = parse_tree(pod_lines), parse_tree(local_lines)
    _check_limit(label or root, pod, limit)
    settle_pending(manifest, local, atomic=target.atomic)
    again = _to_rewrite_again(manifest, pod, rewrite)
    plan = plan_fill(manifest.pod, pod, manifest.local, local, again=again, owners=target.owners)
    filling = _Filling(manifest, pod, local, plan, rewrite, report, target.owners)
    if not plan.nothing:
        manifest.pending = {path: pod[path] for path in plan.touched}
        save_manifest(previous, manifest)
        paths = None if plan.whole else _utf8(plan.fetch)
        stream = source.pack(root, exclude, paths) if plan.whole or plan.fetch else _nothing()
        await target.apply(plan.delete, filling.stream(stream))
        filling.settle(parse_tree(await target.scan(exclude)))
    filling.remember()
    save_manifest(previous, manifest)
    return filling.result()


async def describe_local_changes(
    target: Target, previous: Path, exclude: Sequence[str] = ()
) -> tuple[str, ...]:
    """Names added, changed or removed in the copy since its last fill; () for a copy never filled."""
    manifest = load_manifest(previous)
    if manifest is None:
        return ()
    local = parse_tree(await target.scan(exclude))
    settle_pending(manifest, local, atomic=target.atomic)
    return tuple(sorted(local_changes(manifest.local, local) - manifest.pending.keys()))


def _check_limit(label: str, pod: Mapping[str, Entry], limit: int | None) -> None:
    size, files = tree_size(pod)
    if limit is None or size <= limit:
        return
    named = ", ".join(f"{name} {render_size(part)}" for name, part in largest(pod))
    raise ConfigurationError(
        f"volume {label} has {render_size(size)} in {files:,} files; its limit is {render_size(limit)}",
        hint=f"raise it with `limit: {-(-size // (1 << 20))}MiB`, leave parts out with `exclude` "
        f"(the largest: {named}), or start with an empty one (`mode: empty`)",
    )


def render_size(size: int) -> str:
    value = float(size)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def settle_pending(manifest: Manifest, local: Mapping[str, Entry], *, atomic: bool) -> None:
    """After a fill that was broken off: what had arrived counts as filled, what had not is fetched anew."""
    for path, entry in manifest.pending.items():
        here = local.get(path)
        if here is None or here == manifest.local.get(path):
            continue
        if _complete(entry, here):
            manifest.local[path], manifest.pod[path] = here, entry
        elif not atomic or here.type == entry.type == "d":  # half of it: ours, to be fetched anew
            manifest.local[path] = here
            manifest.pod.pop(path, None)
    manifest.pending = {}


def _complete(entry: Entry, here: Entry) -> bool:
    """A file gets its time last; its size may be another one by rewriting."""
    if entry.type == "f":
        return here.type == "f" and here.mtime_ns == entry.mtime_ns
    return same(entry, here, owners=False)


def _to_rewrite_again(
    manifest: Manifest, pod: Mapping[str, Entry], rewrite: Rewriting | None
) -> frozenset[str]:
    """Files whose rewriting is another one than at the last fill."""
    now = (rewrite.patterns, rewrite.digest) if rewrite is not None else ((), "")
    if now == (manifest.patterns, manifest.digest):
        return frozenset()
    patterns = (*manifest.patterns, *now[0])
    return frozenset(path for path in manifest.pod if path in pod and matches(path, patterns))


def _utf8(paths: Sequence[str]) -> tuple[str, ...]:
    """What a request in JSON can name: for a name that is no UTF-8, the directory that it is in."""
    result: list[str] = []
    for path in paths:
        candidates = (path, *parents(path), ".")
        result.append(next(name for name in candidates if _is_utf8(name)))
    return tuple(dict.fromkeys(result))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


async def _nothing() -> AsyncIterator[bytes]:
    yield END


class _Filling:
    """One fill: the stream on its way, and what it leaves in the manifest."""

    def __init__(
        self,
        manifest: Manifest,
        pod: dict[str, Entry],
        local: dict[str, Entry],
        plan: FillPlan,
        rewrite: Rewriting | None,
        report: Report | None,
        owners: bool,
    ) -> None:
        self._owners = owners
        self._manifest, self._pod, self._local, self._plan = manifest, pod, local, plan
        self._rewrite, self._report = rewrite, report
        self._wanted = plan.touched
        self._arrived: dict[str, Entry] = {}
        self._rewrites: dict[str, tuple[FileRewrite, ...]] = {}
        self._after: dict[str, Entry] | None = None
        self._moved = self._done = 0
        self._total = (sum(pod[path].size for path in plan.fetch), len(plan.fetch))

    async def stream(self, source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The tar for the target: directories, then what the pod sends and we want, then links."""
        reader = TarReader(source)
        early = [entry for entry in self._plan.make if entry.type == "d"]
        late = [entry for entry in self._plan.make if entry.type != "d"]
        for entry in () if self._plan.whole else early:
            yield self._made(entry)
        while (member := await reader.next()) is not None:
            if member.entry.path in self._wanted and (self._plan.whole or member.entry.type == "f"):
                async for part in self._member(reader, member):
                    yield part
        for entry in () if self._plan.whole else late:
            yield self._made(entry)
        yield END

    def _made(self, entry: Entry) -> bytes:
        self._arrived[entry.path] = entry
        return render_head(entry)

    async def _member(self, reader: TarReader, member: Member) -> AsyncIterator[bytes]:
        entry = member.entry
        self._arrived[entry.path] = entry
        rewrite = self._rewrite
        if (
            rewrite is not None
            and entry.type == "f"
            and entry.size <= LARGEST
            and matches(entry.path, rewrite.patterns)
        ):
            content = b"".join([part async for part in reader.content()])[: entry.size]
            yield self._rewritten(member, content, rewrite)
            self._count(entry.size, 1)
            return
        yield member.head
        left = entry.size
        async for part in reader.content():
            yield part
            self._count(min(left, len(part)), 0)
            left -= min(left, len(part))
        if entry.type == "f":
            self._count(0, 1)

    def _rewritten(self, member: Member, content: bytes, rewrite: Rewriting) -> bytes:
        entry = member.entry
        text, changes = rewrite.apply(content)
        self._rewrites[entry.path] = tuple(
            FileRewrite(entry.path, change.line, change.service, change.to) for change in changes
        )
        return render_head(replace(entry, size=len(text))) + text + padding(len(text))

    def _count(self, size: int, files: int) -> None:
        self._moved += size
        self._done += files
        if self._report is not None:
            self._report(self._moved, self._done, *self._total)

    def settle(self, after: dict[str, Entry]) -> None:
        """The copy as the target tells it now."""
        self._after = after

    def remember(self) -> None:
        manifest, plan = self._manifest, self._plan
        mine = frozenset(
            path
            for path in local_changes(manifest.local, self._local) - self._wanted
            if not self._found_equal(path)
        )
        kept = set(plan.kept)
        manifest.pod = {
            path: found
            for path, entry in self._pod.items()
            if (found := self._pod_entry(path, entry, kept)) is not None
        } | {path: manifest.pod[path] for path in kept if path not in self._pod and path in manifest.pod}
        manifest.local = self._local_base(mine)
        manifest.pending = {}
        rewrite = self._rewrite
        manifest.patterns = rewrite.patterns if rewrite is not None else ()
        manifest.digest = rewrite.digest if rewrite is not None else ""
        manifest.rewrites = self._all_rewrites(kept)

    def _found_equal(self, path: str) -> bool:
        """The copy had it before we knew of it, as the pod has it."""
        if path not in self._pod or path in self._manifest.local:
            return False
        return same(self._pod[path], self._local.get(path), owners=self._owners)

    def _pod_entry(self, path: str, entry: Entry, kept: set[str]) -> Entry | None:
        """What of the pod the copy now has: for a kept name what it had before, so it is told again."""
        if path in kept:
            return self._manifest.pod.get(path)
        if path in self._wanted:
            return self._arrived.get(path)
        return entry

    def _local_base(self, mine: frozenset[str]) -> dict[str, Entry]:
        before = self._manifest.local
        base = {path: entry for path, entry in self._local.items() if path not in mine}
        base |= {path: before[path] for path in mine if path in before}
        if self._after is None:
            return base
        touched = set(self._wanted) | {parent for path in self._wanted for parent in parents(path)} | {"."}
        base |= {path: self._after[path] for path in touched - mine if path in self._after}
        gone = self._local.keys() - self._after.keys()
        return {path: entry for path, entry in base.items() if path not in gone or path in mine}

    def _all_rewrites(self, kept: set[str]) -> tuple[FileRewrite, ...]:
        rewrite = self._rewrite
        if rewrite is None:
            return ()
        old = [
            item
            for item in self._manifest.rewrites
            if item.path not in self._arrived and item.path in self._manifest.pod
        ]
        new = [item for items in self._rewrites.values() for item in items]
        return tuple(sorted({*old, *new}, key=lambda item: (item.path, item.line, item.service)))

    def result(self) -> FillResult:
        size, files = tree_size(self._pod)
        plan = self._plan
        changed = len(plan.fetch) + len(plan.make) + len(plan.delete)
        return FillResult(files, size, changed, self._moved, plan.kept, self._manifest.rewrites)


def load_manifest(path: Path) -> Manifest | None:
    """None where there is none that can be read: then the copy is not known to be ours."""
    try:
        data = json.loads(path.read_text())
        return Manifest(
            pod=parse_tree(data["pod"]),
            local=parse_tree(data["local"]),
            pending=parse_tree(data["pending"]),
            rewrites=tuple(FileRewrite(*item) for item in data["rewrites"]),
            patterns=tuple(data["patterns"]),
            digest=data["digest"],
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def save_manifest(path: Path, manifest: Manifest) -> None:
    """Whole or not at all, readable by nobody else."""
    data = {
        "pod": [render_entry(entry) for entry in manifest.pod.values()],
        "local": [render_entry(entry) for entry in manifest.local.values()],
        "pending": [render_entry(entry) for entry in manifest.pending.values()],
        "rewrites": [[item.path, item.line, item.service, item.to] for item in manifest.rewrites],
        "patterns": list(manifest.patterns),
        "digest": manifest.digest,
    }
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(data, file, separators=(",", ":"))
    part.replace(path)

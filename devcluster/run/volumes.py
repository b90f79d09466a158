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
import posixpath
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
    same,
    topmost,
    tree_size,
)
from devcluster.run.place import Place
from devcluster.run.volume_manifest import (
    FileRewrite,
    Manifest,
    load_manifest,
    save_manifest,
    settle_pending,
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

    def check(self, *, ours: bool) -> None:
        """ConfigurationError where it can't be filled; *ours*: we have filled it before."""

    async def identity(self) -> str:
        """Another one for each copy that is made; '' when it is not there."""

    async def ensure(self) -> str:
        """Make it where it is not there; its identity."""

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
class FillResult:
    """``files``, ``bytes``: of the whole volume; ``changed``: names that this fill made or removed;
    ``moved``: bytes that travelled; ``kept_local``: changed here and in the pod, left alone."""

    files: int
    bytes: int
    changed: int
    moved: int
    kept_local: tuple[str, ...] = ()
    rewrites: tuple[FileRewrite, ...] = ()


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
    manifest = await _known(target, previous)
    target.check(ours=manifest is not None)
    manifest = manifest or Manifest()
    pod_lines, local_lines = await asyncio.gather(source.scan(root, exclude), target.scan(exclude))
    pod, local = parse_tree(pod_lines), parse_tree(local_lines)
    _check_limit(label or root, pod, limit)
    settle_pending(manifest, local, atomic=target.atomic)
    again = _to_rewrite_again(manifest, pod, rewrite)
    plan = plan_fill(manifest.pod, pod, manifest.local, local, again=again, owners=target.owners)
    manifest.identity = await target.ensure()
    filling = _Filling(manifest, pod, local, plan, rewrite, report, target.owners)
    if not plan.nothing:
        manifest.pending = {path: pod[path] for path in plan.touched}
        save_manifest(previous, manifest)
        paths = None if plan.whole else request_paths(plan.fetch)
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
    manifest = await _known(target, previous)
    if manifest is None:
        return ()
    local = parse_tree(await target.scan(exclude))
    settle_pending(manifest, local, atomic=target.atomic)
    return tuple(sorted(local_changes(manifest.local, local) - manifest.pending.keys()))


async def _known(target: Target, previous: Path) -> Manifest | None:
    """What is known of this very copy: one that was removed, or made anew since, has no past."""
    manifest = load_manifest(previous)
    if manifest is None or manifest.identity != await target.identity():
        return None
    return manifest


def manifest_path(place: Place, target: Target) -> Path:
    """Where what is known of *target* is kept: by its Docker name, or the folder's."""
    name = target.name
    if "/" in name:
        name = f"folder-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return place.state / "volumes" / f"{name}.json"


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


def _to_rewrite_again(
    manifest: Manifest, pod: Mapping[str, Entry], rewrite: Rewriting | None
) -> frozenset[str]:
    """Files whose rewriting is another one than at the last fill."""
    now = (rewrite.patterns, rewrite.digest) if rewrite is not None else ((), "")
    if now == (manifest.patterns, manifest.digest):
        return frozenset()
    patterns = (*manifest.patterns, *now[0])
    return frozenset(path for path in manifest.pod if path in pod and matches(path, patterns))


def request_paths(paths: Sequence[str], limit: int = 16 << 20) -> tuple[str, ...]:
    """What a request of *limit* bytes of JSON can name: where a name is no UTF-8, or they are too many, the
    directories that they are in.  The agent sends all that is in one; what was not asked for is left out."""
    named = {next(name for name in (path, *parents(path), ".") if _is_utf8(name)) for path in paths}
    while len(named) > 1 and sum(6 * len(name) + 4 for name in named) > limit:
        deepest = max(name.count("/") for name in named)
        named = {name if name.count("/") < deepest else posixpath.dirname(name) or "." for name in named}
    return (".",) if "." in named else topmost(named)


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

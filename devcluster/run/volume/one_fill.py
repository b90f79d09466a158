"""One fill of one volume: the stream on its way to the copy, and what it leaves in the manifest.

What kubelet writes anew (``rules.volume.projected``) is swapped as kubelet does: what is gone is removed
last, and nothing is swapped before all files of the new set have arrived.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace

from devcluster.rules.cluster.memory_variables import Figure
from devcluster.rules.names.rewriting import LARGEST, RULES, LineRewrite, rewrite_text
from devcluster.rules.volume.links import named_files
from devcluster.rules.volume.projected import DATA, in_order, version_of
from devcluster.rules.volume.tarstream import END, Member, TarReader, padding, render_gone, render_head
from devcluster.rules.volume.tree import Entry, FillPlan, local_changes, parents, same, tree_size
from devcluster.run.volume.manifest import FileRewrite, Manifest

FillReport = Callable[[int, int, int, int], None]
"""bytes, files, of bytes, of files."""


@dataclass(frozen=True, slots=True)
class Rewriting:
    """In files that match *patterns* (as for ``exclude``), the hosts that name one of *services*; in files of
    the memory's *figures*, these."""

    patterns: tuple[str, ...]
    services: tuple[str, ...]
    namespace: str
    figures: tuple[Figure, ...] = ()

    @property
    def digest(self) -> str:
        """Changes when a file would be rewritten differently."""
        seed = (RULES, sorted(self.services), self.namespace, *self.figures)
        return hashlib.sha256(repr(seed).encode()).hexdigest()[:16]

    def apply(self, name: str, content: bytes) -> tuple[bytes, tuple[LineRewrite, ...]]:
        for figure in self.figures:
            if name == figure.name and content == figure.raised.encode():
                return figure.plain.encode(), ()
        return rewrite_text(content, services=self.services, namespace=self.namespace)


@dataclass(frozen=True, slots=True)
class FillResult:
    """``files``, ``bytes``: of the whole volume; ``changed``: how many names this fill made or removed;
    ``moved``: bytes that travelled; ``kept_local``: changed here and in the pod, left alone; ``left_out``:
    names that the copy does not have, with the reason; ``version``: of what kubelet writes anew;
    ``database``: whose data folder is in it, '' for none."""

    files: int
    bytes: int
    changed: int
    moved: int
    kept_local: tuple[str, ...] = ()
    rewrites: tuple[FileRewrite, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    version: str = ""
    database: str = ""


class TornError(Exception):
    """kubelet wrote a new set while this one was being read."""


class OneFill:
    """One fill: the stream on its way, and what it leaves in the manifest.  *swap*: the names that make up a
    set (without what can't be read), for a volume that kubelet writes anew; None for any other."""

    def __init__(
        self,
        manifest: Manifest,
        pod: dict[str, Entry],
        local: dict[str, Entry],
        plan: FillPlan,
        rewrite: Rewriting | None,
        report: FillReport | None,
        owners: bool,
        swap: frozenset[str] | None = None,
    ) -> None:
        self._owners, self._swap = owners, swap
        self._manifest, self._pod, self._local, self._plan = manifest, pod, local, plan
        self._rewrite, self._report = rewrite, report
        self._named = named_files(pod, rewrite.patterns) if rewrite is not None else {}
        self._wanted = plan.touched
        self._arrived: dict[str, Entry] = {}
        self._rewrites: dict[str, tuple[FileRewrite, ...]] = {}
        self._after: dict[str, Entry] | None = None
        self._moved = self._done = 0
        self._total = (sum(pod[path].weight for path in plan.fetch), len(plan.fetch))

    async def stream(self, source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The tar stream for the destination: directories, then the files from the pod that we want, then
        links.  TornError where a set did not arrive whole."""
        reader = TarReader(source)
        early = [entry for entry in self._plan.make if entry.type == "d"]
        late = [entry for entry in self._plan.make if entry.type != "d"]
        for entry in () if self._plan.whole else early:
            yield self._made(entry)
        while (member := await reader.next()) is not None:
            if member.entry.path in self._wanted and (self._plan.whole or member.entry.type == "f"):
                async for part in self._member(reader, member):
                    yield part
        self._unless_torn()
        for entry in () if self._plan.whole else in_order(late):
            yield self._made(entry)
        for path in self._plan.delete if self._swap is not None else ():
            yield render_gone(path)
        yield END

    @property
    def delete(self) -> tuple[str, ...]:
        """What is removed before the stream is unpacked."""
        return () if self._swap is not None else self._plan.delete

    def _unless_torn(self) -> None:
        if self._swap is None:
            return
        came, told = self._arrived.get(DATA), self._pod.get(DATA)
        other = came is not None and told is not None and came.link != told.link
        if other or (self._swap & frozenset(self._plan.fetch)) - self._arrived.keys():
            raise TornError

    def _made(self, entry: Entry) -> bytes:
        self._arrived[entry.path] = entry
        return render_head(entry)

    async def _member(self, reader: TarReader, member: Member) -> AsyncIterator[bytes]:
        entry = member.entry
        if member.left_out:
            self._arrived.pop(entry.path, None)
            yield member.head
            return
        self._arrived[entry.path] = entry
        rewrite = self._rewrite if entry.path in self._named and not member.sparse else None
        if rewrite is not None and entry.type == "f" and entry.size <= LARGEST:
            content = b"".join([part async for part in reader.content()])[: entry.size]
            yield self._rewritten(member, content, rewrite)
            self._count(entry.size, 1)
            return
        yield member.head
        left = member.size
        async for part in reader.content():
            yield part
            self._count(min(left, len(part)), 0)
            left -= min(left, len(part))
        if entry.type == "f":
            self._count(0, 1)

    def _rewritten(self, member: Member, content: bytes, rewrite: Rewriting) -> bytes:
        entry = member.entry
        text, changes = rewrite.apply(self._named[entry.path], content)
        self._rewrites[entry.path] = tuple(
            FileRewrite(entry.path, change.line, change.service, change.to, change.kept) for change in changes
        )
        return render_head(replace(entry, size=len(text))) + text + padding(len(text))

    def _count(self, size: int, files: int) -> None:
        self._moved += size
        self._done += files
        if self._report is not None:
            self._report(self._moved, self._done, *self._total)

    def settle(self, after: dict[str, Entry]) -> None:
        """The copy, as the destination lists it now."""
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
        manifest.rewrites = self._all_rewrites()

    def _found_equal(self, path: str) -> bool:
        """Whether the copy already had it as the pod has it, before we knew of it."""
        if path not in self._pod or path in self._manifest.local:
            return False
        return same(self._pod[path], self._local.get(path), owners=self._owners)

    def _pod_entry(self, path: str, entry: Entry, kept: set[str]) -> Entry | None:
        """What the copy now has of the pod.  For a kept name that is what it had before, so that it is
        reported again."""
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

    def _all_rewrites(self) -> tuple[FileRewrite, ...]:
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

    def result(self, left_out: Mapping[str, str]) -> FillResult:
        """*left_out*: what the scan reported as such; what has not arrived since then is added."""
        gone = {path: "vanished" for path in self._plan.fetch if path not in self._arrived}
        size, files = tree_size(self._pod)
        plan = self._plan
        changed = len(plan.fetch) + len(plan.make) + len(plan.delete)
        rewrites = tuple(
            replace(made, path=self._named.get(made.path, made.path)) for made in self._manifest.rewrites
        )
        named = tuple(sorted((gone | dict(left_out)).items()))
        version = version_of(self._pod) if self._swap is not None else ""
        return FillResult(files, size, changed, self._moved, plan.kept, rewrites, named, version)

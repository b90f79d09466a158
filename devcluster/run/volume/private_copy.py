"""Mode ``copy``: a private copy of one of the pod's volumes, filled once and then kept up to date.

The problem: a volume is large, the link is slow, and the developer may change the copy.  So a fill moves only
what changed in the pod, leaves alone what changed here and says so, and can be interrupted at any moment: the
next one continues.

Rules:
- what will be changed is written down first (``pending``), and so are the two trees afterwards
  (``rules/volume/tree.py`` decides from it).  Only we can read that file (0600): names can tell secrets too;
- the size is known, and may be refused, before the first byte moves;
- rewriting happens in the stream: the pod's own files are only read;
- what the stream really brought counts, not what the scan had promised;
- what kubelet writes anew is swapped as kubelet does (``rules.volume.projected``).
"""

from __future__ import annotations

import asyncio
import hashlib
import posixpath
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from devcluster.edge.background import together
from devcluster.errors import ConfigurationError
from devcluster.rules.container.environment_formats import is_text
from devcluster.rules.counted import counted
from devcluster.rules.volume.datafolder import find_server_folder
from devcluster.rules.volume.links import named_files
from devcluster.rules.volume.projected import is_settled, swapped, version_of
from devcluster.rules.volume.tarstream import END, render_head
from devcluster.rules.volume.tree import (
    Entry,
    keep_together,
    largest,
    local_changes,
    parents,
    parse_left_out,
    parse_tree,
    plan_fill,
    topmost,
    tree_size,
)
from devcluster.run.place import Place
from devcluster.run.volume.manifest import (
    Manifest,
    load_manifest,
    save_manifest,
    settle_pending,
)
from devcluster.run.volume.one_fill import FillReport, FillResult, OneFill, Rewriting

Listed = Sequence[Mapping[str, Any]]
_LOOK, _LOOKS = 0.2, 5  # seconds between two looks at what kubelet just writes, and how many


class TreeSource(Protocol):
    """The pod's side: the agent's ``files``."""

    async def scan(self, root: str, exclude: Sequence[str]) -> Listed: ...

    def pack(
        self, root: str, exclude: Sequence[str], paths: Sequence[str] | None
    ) -> AsyncIterator[bytes]: ...


class FillDestination(Protocol):
    """The laptop's side: a Docker volume, a folder, or one file.  ``owners``: it can have the pod's;
    ``atomic``: a fill that is broken off leaves no half file under a name."""

    name: str
    owners: bool
    atomic: bool

    def check(self, *, ours: bool) -> None:
        """ConfigurationError where it can't be filled; *ours*: we have filled it before."""

    async def identity(self) -> str:
        """Another one for each copy that is made; '' when it is not there."""

    async def ensure(self) -> str:
        """Make it where it is not there; its identity."""

    async def scan(self, exclude: Sequence[str]) -> Listed: ...

    async def apply(self, delete: Sequence[str], stream: AsyncIterator[bytes]) -> None: ...


@dataclass(frozen=True, slots=True)
class CopySpec:
    """How one volume is copied.  ``root``: the pod's path of it; ``previous``: where what we know of the copy
    is kept; ``label``: the volume's name for messages; ``limit``: bytes; ``renewed``: kubelet writes it
    anew."""

    root: str
    previous: Path
    label: str = ""
    exclude: tuple[str, ...] = ()
    limit: int | None = None
    rewrite: Rewriting | None = None
    renewed: bool = False


class TooLargeError(ConfigurationError):
    """More bytes than the limit; nothing moved."""


async def fill_volume(
    source: TreeSource,
    destination: FillDestination,
    spec: CopySpec,
    *,
    report: FillReport | None = None,
    scanned: Listed | None = None,
) -> FillResult:
    """Make *destination* follow the pod's root.  *scanned*: what ``check_volume`` saw a moment ago.
    TooLargeError beyond the limit; TornError (``one_fill``)."""
    manifest = await _known(destination, spec.previous)
    destination.check(ours=manifest is not None)
    manifest = manifest or Manifest()
    look = _look if spec.renewed else _scan
    scans = look(source, spec, scanned), destination.scan(spec.exclude)
    pod_lines, local_lines = await together(*scans, name="scan")
    pod, local = parse_tree(pod_lines), parse_tree(local_lines)
    _check_limit(spec, pod)
    settle_pending(manifest, local, atomic=destination.atomic)
    version = version_of(pod) if spec.renewed else ""
    if version:
        manifest.local, manifest.pod = swapped(local) | manifest.local, swapped(local) | manifest.pod
    again = _to_rewrite_again(manifest, pod, spec.rewrite)
    plan = plan_fill(manifest.pod, pod, manifest.local, local, again=again, owners=destination.owners)
    server = find_server_folder(local)
    if server is not None:
        plan = keep_together(plan, local_changes(manifest.local, local), server[1])
    manifest.identity = await destination.ensure()
    left_out = parse_left_out(pod_lines)
    swap = frozenset(pod.keys() - left_out.keys()) if version else None
    filling = OneFill(manifest, pod, local, plan, spec.rewrite, report, destination.owners, swap)
    if not plan.nothing:
        manifest.pending = {path: pod[path] for path in plan.touched}
        save_manifest(spec.previous, manifest)
        paths = None if plan.whole else request_paths(plan.fetch)
        stream = source.pack(spec.root, spec.exclude, paths) if plan.whole or plan.fetch else _only()
        await destination.apply(filling.delete, filling.stream(stream))
        filling.settle(parse_tree(await destination.scan(spec.exclude)))
    filling.remember()
    save_manifest(spec.previous, manifest)
    return replace(filling.result(left_out), database=server[0] if server is not None else "")


def check_volume(spec: CopySpec, lines: Listed) -> None:
    """TooLargeError by what the pod has now."""
    _check_limit(spec, parse_tree(lines))


async def _scan(source: TreeSource, spec: CopySpec, scanned: Listed | None) -> Listed:
    return await source.scan(spec.root, spec.exclude) if scanned is None else scanned


async def _look(source: TreeSource, spec: CopySpec, scanned: Listed | None) -> Listed:
    """Scan again while kubelet is writing.  A folder that kubelet once left behind never goes away; after
    some looks it is copied, too."""
    lines = await _scan(source, spec, scanned)
    for _ in range(_LOOKS):
        tree = parse_tree(lines)
        if is_settled(tree) or not version_of(tree):
            break
        await asyncio.sleep(_LOOK)
        lines = await source.scan(spec.root, spec.exclude)
    return lines


async def empty_volume(source: TreeSource, root: str, destination: FillDestination) -> None:
    """Leave *destination* empty, but give its top the pod's owner and mode, so that the application can write
    there.  What the application has put there since stays."""
    await destination.ensure()
    pod, here = parse_tree(await source.scan(root, ("**",))), parse_tree(await destination.scan(()))
    if here.keys() <= {"."}:
        await destination.apply((), _only(*(render_head(replace(entry, size=0)) for entry in pod.values())))


async def describe_local_changes(
    destination: FillDestination, previous: Path, exclude: Sequence[str] = ()
) -> tuple[str, ...]:
    """Names added, changed or removed in the copy since its last fill; () for a copy never filled."""
    manifest = await _known(destination, previous)
    if manifest is None:
        return ()
    local = parse_tree(await destination.scan(exclude))
    settle_pending(manifest, local, atomic=destination.atomic)
    return tuple(sorted(local_changes(manifest.local, local) - manifest.pending.keys()))


async def _known(destination: FillDestination, previous: Path) -> Manifest | None:
    """What is known of this very copy: one that was removed, or made anew since, has no past."""
    manifest = load_manifest(previous)
    if manifest is None or manifest.identity != await destination.identity():
        return None
    return manifest


def manifest_path(place: Place, destination: FillDestination) -> Path:
    """Where what is known of *destination* is kept: by its Docker name, or the folder's."""
    name = destination.name
    if "/" in name:
        name = f"folder-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return place.state / "volumes" / f"{name}.json"


def _check_limit(spec: CopySpec, pod: Mapping[str, Entry]) -> None:
    size, files = tree_size(pod)
    limit, label = spec.limit, spec.label or spec.root
    if limit is None or size <= limit:
        return
    named = ", ".join(f"{name} {render_size(part)}" for name, part in largest(pod))
    raise TooLargeError(
        f"volume {label} has {render_amount(size, files)}; its limit is {render_size(limit)}",
        hint=f"raise it with `limit: {-(-size // (1 << 20))}MiB`, leave parts out with `exclude` "
        f"(the largest: {named}), or start with an empty one (`mode: empty`)",
    )


def render_amount(size: int, files: int) -> str:
    """``1.0 KiB in 1 file``."""
    return f"{render_size(size)} in {counted(files, 'file', 'files')}"


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
    return frozenset(path for path in named_files(pod, patterns) if path in manifest.pod)


def request_paths(paths: Sequence[str], limit: int = 16 << 20) -> tuple[str, ...]:
    """What a request of *limit* bytes of JSON can name.  Where a name is not UTF-8, or there are too many,
    their directories are named.  The agent sends everything in a directory; what was not asked for is left
    out."""
    named = {next(name for name in (path, *parents(path), ".") if is_text(name)) for path in paths}
    while len(named) > 1 and sum(6 * len(name) + 4 for name in named) > limit:
        deepest = max(name.count("/") for name in named)
        named = {name if name.count("/") < deepest else posixpath.dirname(name) or "." for name in named}
    return (".",) if "." in named else topmost(named)


async def _only(*heads: bytes) -> AsyncIterator[bytes]:
    for head in heads:
        yield head
    yield END

"""What a fill remembers of a volume: the pod's tree and the copy's, and what it had begun.

It is written whole or not at all, and nobody else can read it: names can tell secrets too.  It belongs to one
copy: a volume of the same name that was made anew starts from nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devcluster.rules.volume.tree import Entry, parse_tree, render_entry, same
from devcluster.run.private_file import write_private


@dataclass(frozen=True, slots=True)
class FileRewrite:
    """Where a Service's name was qualified or left alone, and why; ``line`` counts from 1."""

    path: str
    line: int
    service: str
    to: str
    kept: str = ""


@dataclass(slots=True)
class Manifest:
    """What the last fill left: the pod's tree and the copy's; ``pending``: what a fill had begun;
    ``identity``: the copy's; ``patterns``, ``digest``: the rewriting's."""

    identity: str = ""

    pod: dict[str, Entry] = field(default_factory=dict)
    local: dict[str, Entry] = field(default_factory=dict)
    pending: dict[str, Entry] = field(default_factory=dict)
    rewrites: tuple[FileRewrite, ...] = ()
    patterns: tuple[str, ...] = ()
    digest: str = ""


def settle_pending(manifest: Manifest, local: Mapping[str, Entry], *, atomic: bool) -> None:
    """After an interrupted fill: what had arrived counts as filled, what had not is fetched again."""
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
    """A file gets its time last; rewriting may have changed its size."""
    if entry.type == "f":
        return here.type == "f" and here.mtime_ns == entry.mtime_ns
    return same(entry, here, owners=False)


def load_manifest(path: Path) -> Manifest | None:
    """None where there is none that can be read: then the copy is not known to be ours."""
    try:
        data = json.loads(path.read_text())
        return Manifest(
            identity=data["identity"],
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
        "identity": manifest.identity,
        "pod": [render_entry(entry) for entry in manifest.pod.values()],
        "local": [render_entry(entry) for entry in manifest.local.values()],
        "pending": [render_entry(entry) for entry in manifest.pending.values()],
        "rewrites": [[item.path, item.line, item.service, item.to, item.kept] for item in manifest.rewrites],
        "patterns": list(manifest.patterns),
        "digest": manifest.digest,
    }
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = json.dumps(data, separators=(",", ":"))  # json.dump is ten times slower
    write_private(path, text.encode())

"""Volumes that kubelet writes anew while the pod runs: ConfigMaps, Secrets, tokens, what is projected.

The problem: an application watches such a volume, and reads several files that belong together.  So kubelet
writes the whole set into a new folder ``..2026_11_30_06_00_00.123``, renames a link onto ``..data``, then
makes and removes the links ``KEY -> ..data/KEY`` at the top, and removes the former folder last.  Whoever
reads through ``..data`` has the old set or the new one.

Rules:
- the copy is changed in the same order, with the same names: a watch sees what it would see in the pod;
- a set that kubelet was just writing is not copied: it is looked at again;
- its version is where ``..data`` leads; kubelet gives no name twice.

The naive way, file after file, shows half a set, and a link to nowhere in between.

Source: https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/volume/util/atomic_writer.go
"""

from __future__ import annotations

from collections.abc import Iterable

from devcluster.rules.volume.tree import Entry, Tree

DATA = "..data"


def version_of(tree: Tree) -> str:
    """Where ``..data`` leads; '' where kubelet did not write *tree*."""
    found = tree.get(DATA)
    return found.link if found is not None and found.type == "l" else ""


def is_settled(tree: Tree) -> bool:
    """Whether kubelet had finished when *tree* was told, names sorted, so that ``..data`` was read after the
    folders: then the one that it leads to is the only one."""
    folders = [path for path in tree if path.startswith("..") and path != DATA and "/" not in path]
    return folders == [version_of(tree)]


def swapped(tree: Tree) -> dict[str, Entry]:
    """Of a copy what has kubelet's shape: what came by half, or what nobody remembers, goes with its set."""
    return {
        path: entry
        for path, entry in tree.items()
        if path.startswith("..") or (entry.type == "l" and entry.link == f"{DATA}/{path}")
    }


def in_order(made: Iterable[Entry]) -> list[Entry]:
    """Links with ``..data`` first: those at the top lead through it."""
    return sorted(made, key=lambda entry: entry.path != DATA)

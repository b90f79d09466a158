"""Which files of a tree some patterns mean: by their own names, and by links that lead to them.

A ConfigMap's ``nginx.conf`` is a link to ``..data/nginx.conf``; ``..data`` is a link to a directory that gets
a new name with each change; and only what is in there is a file.  Whoever writes ``nginx.conf`` means that
file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from devcluster.config.text.globs import matches
from devcluster.rules.volume.tree import Tree

_HOPS = 40  # as Linux


def named_files(tree: Tree, patterns: Sequence[str]) -> dict[str, str]:
    """Each file's own path, with the name by which *patterns* mean it."""
    found: dict[str, str] = {}
    for path, entry in tree.items():
        if entry.type == "f" and matches(path, patterns):
            found[path] = path
    for name, path in _other_names(tree):
        if path not in found and matches(name, patterns):
            found[path] = name
    return found


def _other_names(tree: Tree) -> Iterator[tuple[str, str]]:
    """(name, file) by links to files, and to directories of what lies at the top (of more there may be
    thousands, as in node_modules)."""
    for name, entry in tree.items():
        if entry.type == "h":
            yield name, entry.link
        if entry.type != "l" or (path := resolve(tree, name)) is None:
            continue
        if tree[path].type == "f":
            yield name, path
        elif tree[path].type == "d" and "/" not in name and path != ".":
            yield from (
                (name + below.removeprefix(path), below)
                for below, it in tree.items()
                if it.type == "f" and below.startswith(path + "/")
            )


def resolve(tree: Tree, path: str) -> str | None:
    """Where *path* leads within *tree*, through links; None for nowhere, or out of it."""
    done: list[str] = []
    ahead = path.split("/")[::-1]
    hops = 0
    while ahead:
        name = ahead.pop()
        if name == ".." and not done:
            return None
        if name == "..":
            done.pop()
        if name in ("", ".", ".."):
            continue
        entry = tree.get("/".join([*done, name]))
        if entry is None:
            return None
        if entry.type != "l":
            done.append(name)
            continue
        hops += 1
        if hops > _HOPS or entry.link.startswith("/"):
            return None
        ahead += entry.link.split("/")[::-1]
    return "/".join(done) or ("." if "." in tree else None)

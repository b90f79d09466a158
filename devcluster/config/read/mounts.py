"""``mounts`` and ``tmpfs``: what the file itself mounts.  Docker refuses two at one path, but too late."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

from devcluster.config.model import Mount
from devcluster.config.read import forms
from devcluster.config.read.document import Item, Mapping, Sequence, value_of
from devcluster.config.read.shapes import FLAG, Choice, Reading, Schema, text
from devcluster.config.read.structures import Either, Fields, Key, many
from devcluster.config.read.values import FILLED, MOUNT, PERMISSIONS, SIZE, TEXT, TMPFS

_LONG_MOUNT = Fields(
    (
        Key("type", Choice(("bind", "volume", "tmpfs")), "what is mounted", needed=True),
        Key("source", FILLED, "a folder of the laptop, or a volume's name"),
        Key("target", text("an absolute path in the container", "/.*"), "where to mount it", needed=True),
        Key("read_only", FLAG, "not writable"),
        Key(
            "bind",
            Fields(
                (
                    Key("propagation", Choice(forms.PROPAGATIONS), "of mounts below it"),
                    Key("create_host_path", FLAG, "create a missing folder; default true"),
                    Key("selinux", Choice(forms.SELINUX), "label it for all containers (z) or this one (Z)"),
                ),
                empty=True,
            ),
            "settings of a bind",
        ),
        Key(
            "volume",
            Fields((Key("nocopy", FLAG, "start empty, without the image's content"),), empty=True),
            "settings of a volume",
        ),
        Key(
            "tmpfs",
            Fields(
                (Key("size", SIZE, "how much it holds"), Key("mode", PERMISSIONS, "its permissions")),
                empty=True,
            ),
            "settings of a tmpfs",
        ),
        Key("consistency", TEXT, "accepted: it changes nothing on Linux"),
    ),
    build=forms.build_mount,
)


class _LongMount:
    """A bind needs a source: without one it would be the project's folder."""

    def read(self, item: Item, where: Reading) -> Any:
        found = _LONG_MOUNT.read(item, where)
        if isinstance(found, Mount) and found.kind == "bind" and not found.source:
            where.note(item, "source is missing")
        return found

    def schema(self) -> Schema:
        bind = {"properties": {"type": {"enum": ["bind"]}}}
        return _LONG_MOUNT.schema() | {"anyOf": [{"not": bind}, {"required": ["source"]}]}


_EACH = Either("SOURCE:TARGET[:ro], or a map", scalar=MOUNT, mapping=_LongMount())
MOUNTS = many(_EACH)
TMPFS_LIST = many(TMPFS, alone=True)


def note_mounts(workload: Mapping, where: Reading) -> None:
    """Report each mount at a path that an earlier one already has."""
    seen: set[str] = set()
    for target, item, inside in (*_mounted(workload, where), *_in_memory(workload, where)):
        if target in seen:
            written = value_of(item, "target") if isinstance(item, Mapping) else item
            inside.note(item, f"{inside.told(written, target)} is mounted twice")
        seen.add(target)


def _mounted(workload: Mapping, where: Reading) -> Iterator[tuple[str, Item, Reading]]:
    for item, inside in _elements(workload, "mounts", where):
        mount = _EACH.read(item, inside.apart())
        if isinstance(mount, Mount):
            yield posixpath.normpath(mount.target), item, inside


def _in_memory(workload: Mapping, where: Reading) -> Iterator[tuple[str, Item, Reading]]:
    for item, inside in _elements(workload, "tmpfs", where):
        line = TMPFS.read(item, inside.apart())
        if isinstance(line, str):
            yield posixpath.normpath(line.partition(":")[0]), item, inside


def _elements(workload: Mapping, name: str, where: Reading) -> list[tuple[Item, Reading]]:
    item, inside = value_of(workload, name), where.into(name)
    if isinstance(item, Sequence):
        return [(part, inside.at(index)) for index, part in enumerate(item.items)]
    return [] if item is None else [(item, inside)]

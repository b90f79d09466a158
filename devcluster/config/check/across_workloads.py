"""Conflicts between workloads.  They are reported even if other keys are wrong.

So the file's nodes are read again: a workload with a mistyped key has no value, but it has a target.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from devcluster.config.model import Target
from devcluster.config.read import forms
from devcluster.config.read.document import Item, Mapping, Scalar, value_of
from devcluster.config.read.env_files import absolute
from devcluster.config.read.shapes import Reading, Schema
from devcluster.config.read.structures import Table
from devcluster.config.read.values import EXPORT, FILLED, TARGET
from devcluster.config.read.volumes import MODE


@dataclass(frozen=True, slots=True)
class _Entry:
    """One workload; ``where`` is within it."""

    name: Scalar
    value: Item
    where: Reading


class Workloads:
    """A table of workloads."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def read(self, item: Item, where: Reading) -> object:
        found = self.table.read(item, where)
        if isinstance(item, Mapping):
            entries = [_Entry(name, value, where.into(name.text)) for name, value in item.entries]
            entries = [entry for entry in entries if not entry.name.text.startswith("x-")]
            for entry in entries:
                self._note_name(entry)
            _note_targets(entries)
            _note_folders(entries)
            _note_exports(entries)
        return found

    def _note_name(self, entry: _Entry) -> None:
        """The name is the target if none is written."""
        name, empty = entry.name.text, isinstance(entry.value, Scalar) and entry.value.null
        nameless = empty or (isinstance(entry.value, Mapping) and value_of(entry.value, "target") is None)
        if nameless and re.fullmatch(self.table.names, name) and not re.fullmatch(forms.NAMED, name):
            entry.where.note(
                entry.name,
                "expected the name of a workload in the cluster (lower case letters, digits, - and .),"
                f" or `target: deployment/NAME` below it, got {entry.where.show(entry.name)}",
            )

    def schema(self) -> Schema:
        result = self.table.schema()
        others: Schema = {"type": "object", "required": ["target"]}
        result["patternProperties"] |= {rf"^(?!x-)(?!(?:{forms.NAMED})$)(?:{self.table.names})$": others}
        return result


def _note_targets(entries: Iterable[_Entry]) -> None:
    """Two entries may not have one target: it has one agent, one Secret and one holder, however many
    containers."""
    seen: dict[tuple[str | None, str], Scalar] = {}
    for entry in entries:
        written = value_of(entry.value, "target")
        target = Target(entry.name.text)
        if written is not None:
            target = TARGET.read(written, entry.where.apart())
        if target is None:
            continue
        first = seen.setdefault((target.kind, target.name), entry.name)
        if first is not entry.name:
            title = f"{target.kind}/{target.name}" if target.kind else target.name
            where = entry.where.into("target") if written is not None else entry.where
            told = where.told(written, title)
            text = f"{told} is already the target of {first.text} in line {first.position.line}"
            where.note(_near(entry, written), text)


def _note_folders(entries: Iterable[_Entry]) -> None:
    """No two copies may share a folder, or lie within one another: each would remove the other's files."""
    seen: list[tuple[Path, str, str]] = []
    for entry in entries:
        for item, folder, where in _folders(entry):
            told = where.told(item, folder)
            for other, shown, owner in seen:
                if folder == other or folder in other.parents or other in folder.parents:
                    common = shown if other in folder.parents else told
                    where.note(_near(entry, item), f"shares the folder {common} with {owner}")
                    break
            seen.append((folder, told, where.path))


def _folders(entry: _Entry) -> Iterator[tuple[Item, Path, Reading]]:
    """The folders of its copies, as far as they can be read."""
    volumes = value_of(entry.value, "volumes")
    for name, rule in volumes.entries if isinstance(volumes, Mapping) else ():
        where = entry.where.into("volumes").into(name.text)
        item, mode = value_of(rule, "path"), value_of(rule, "mode")
        off = mode is not None and MODE.read(mode, where.apart()) == "off"
        path = None if item is None or off else FILLED.read(item, where.apart())
        if item is not None and path is not None:
            yield item, absolute(path, where.around.folder), where.into("path")


def _note_exports(entries: Iterable[_Entry]) -> None:
    """Two workloads may not export to one file, nor to the `.env` that this file reads."""
    seen: dict[Path, str] = {}
    for entry in entries:
        env, where = value_of(entry.value, "env"), entry.where.into("env").into("export")
        item = value_of(env, "export") if env is not None else None
        path = None if item is None else EXPORT.read(item, where.apart())
        if item is None or path is None:
            continue
        file = absolute(path, where.around.folder)
        owner = seen.setdefault(file, where.path)
        if owner != where.path:
            where.note(_near(entry, item), f"shares the file {where.told(item, file)} with {owner}")
        elif file == where.around.folder / ".env":
            where.note(_near(entry, item), "devcluster reads this file itself: choose another name")


def _near(entry: _Entry, item: Item | None) -> Item:
    """*item*, or the workload's name if an alias leads elsewhere."""
    return entry.name if item is None or item.position < entry.name.position else item

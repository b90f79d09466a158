"""What several workloads say together: wrong only beside each other, and found whatever else is wrong.

So it is read anew from the file's nodes: a workload with a mistyped key has no value, and still a target.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from devcluster.config.document import Item, Mapping, Scalar, value_of
from devcluster.config.model import Target
from devcluster.config.shapes import Reading, Schema
from devcluster.config.structures import Table
from devcluster.config.values import TARGET


@dataclass(frozen=True, slots=True)
class _Entry:
    """One workload; ``where``: within it."""

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
            _note_targets([entry for entry in entries if not entry.name.text.startswith("x-")])
        return found

    def schema(self) -> Schema:
        return self.table.schema()


def _note_targets(entries: Iterable[_Entry]) -> None:
    """One workload of the cluster has one agent, one Secret and one holder: also with several containers."""
    seen: dict[tuple[str | None, str], Scalar] = {}
    for entry in entries:
        place = value_of(entry.value, "target")
        target = Target(entry.name.text)
        if place is not None:
            target = TARGET.read(place, entry.where.apart())
        if target is None:
            continue
        first = seen.setdefault((target.kind, target.name), entry.name)
        if first is not entry.name:
            title = f"{target.kind}/{target.name}" if target.kind else target.name
            where = entry.where.into("target") if place is not None else entry.where
            text = f"{title} is the target of {first.text} in line {first.place.line} already"
            here = place is not None and place.place > entry.name.place  # not behind an alias
            where.note(place if place is not None and here else entry.name, text)

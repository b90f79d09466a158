"""``volumes``: what becomes of the pod's volumes."""

from __future__ import annotations

from typing import Any

from devcluster.config.document import Item
from devcluster.config.document import Sequence as Items
from devcluster.config.shapes import Choice, Reading, Schema
from devcluster.config.structures import Key, Record, Table, many
from devcluster.config.values import FILLED, GLOB, SIZE

_GLOBS = many(GLOB, alone=True)
MODE = Choice(("copy", "empty", "off"), ("overlay", "read", "write"))
VOLUME = Record(
    (
        Key("mode", MODE, "what stands at its path"),
        Key("path", FILLED, "the copy lives in this folder of the laptop"),
        Key("rewrite", _GLOBS, "patterns: files whose short names become name.namespace, in the copy"),
        Key("exclude", _GLOBS, "patterns: what is not copied"),
        Key("limit", SIZE, "more than this is not copied; default 1GiB"),
    ),
    empty=True,
)


class Volumes:
    """A table; Compose's list of binds gets an answer of its own."""

    table = Table(VOLUME)

    def read(self, item: Item, where: Reading) -> Any:
        if isinstance(item, Items):
            where.note(
                item, "these are the pod's volumes, a map; Compose's list of binds is mounts here", "mounts"
            )
            return ()
        return self.table.read(item, where)

    def schema(self) -> Schema:
        return self.table.schema()

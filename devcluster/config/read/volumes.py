"""``volumes``: what to do with the pod's volumes."""

from __future__ import annotations

from typing import Any

from devcluster.config.read.document import Item
from devcluster.config.read.document import Sequence as Items
from devcluster.config.read.shapes import FLAG, Choice, Reading, Schema
from devcluster.config.read.structures import Fields, Key, Table, many
from devcluster.config.read.values import FILLED, GLOB, SIZE

_GLOBS = many(GLOB, alone=True)
MODE = Choice(("copy", "sync", "empty", "off"), ("overlay", "read", "write"))
VOLUME = Fields(
    (
        Key("mode", MODE, "what the container has at the volume's path"),
        Key("path", FILLED, "keep the copy in this folder of the laptop"),
        Key("rewrite", _GLOBS, "patterns: files of the copy in which short names become name.namespace"),
        Key("exclude", _GLOBS, "patterns: what not to copy"),
        Key("limit", SIZE, "more than this is not copied; default 1GiB"),
        Key("force", FLAG, "sync a volume that holds a database's data folder all the same"),
    ),
    empty=True,
)


class Volumes:
    """A table.  Compose's list of binds gets its own answer."""

    table = Table(VOLUME)

    def read(self, item: Item, where: Reading) -> Any:
        if isinstance(item, Items):
            where.note(
                item,
                "expected a map of the pod's volumes; write Compose's list of binds under mounts",
            )
            return ()
        return self.table.read(item, where)

    def schema(self) -> Schema:
        return self.table.schema()

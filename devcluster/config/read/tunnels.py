"""``tunnels``: cluster addresses on the laptop.  Two can't have one port of it."""

from __future__ import annotations

from typing import Any

from devcluster.config.model import Tunnel
from devcluster.config.read import forms
from devcluster.config.read.document import Item
from devcluster.config.read.document import Sequence as Items
from devcluster.config.read.shapes import Parsed, Reading, Schema, spelled
from devcluster.config.read.structures import many

_TUNNELS = many(Parsed(forms.parse_tunnel, "[PORT:]HOST:PORT", spelled(forms.TUNNEL)))


class Tunnels:
    """A list."""

    def read(self, item: Item, where: Reading) -> Any:
        found: tuple[Tunnel | None, ...] = _TUNNELS.read(item, where)
        parts = item.items if isinstance(item, Items) else ()
        seen: dict[int | Tunnel, int] = {}
        for index, (part, tunnel) in enumerate(zip(parts, found, strict=False)):
            if tunnel is None:
                continue
            first = seen.setdefault(tunnel.local or tunnel, index)
            if first != index:
                text = f"already uses port {tunnel.local} of the laptop" if tunnel.local else "is the same"
                where.at(index).note(part, f"tunnels[{first}] {text}")
        return found

    def schema(self) -> Schema:
        return _TUNNELS.schema()

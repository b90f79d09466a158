"""Ports of the laptop: ``ports``, in Compose's short and long form, and ``tunnels``.

Two can't share one, and Docker says so too late.
"""

from __future__ import annotations

from typing import Any

from devcluster.config.check.port_collisions import find_collisions
from devcluster.config.model import Tunnel
from devcluster.config.read import forms
from devcluster.config.read.document import Item, Mapping, value_of
from devcluster.config.read.document import Sequence as Items
from devcluster.config.read.shapes import Choice, Parsed, Reading, Schema, spelled
from devcluster.config.read.structures import Either, Fields, Key, many
from devcluster.config.read.values import HOST_IP, PORT, PROTOCOL, PUBLISHED, SHORT_PORT, TEXT

LONG_PORT = Fields(
    (
        Key("target", PORT, "the container's port", needed=True),
        Key("published", PUBLISHED, "the laptop's port, or FIRST-LAST"),
        Key("host_ip", HOST_IP, "the laptop's address"),
        Key("protocol", PROTOCOL, "tcp or udp"),
        Key("name", TEXT, "a name, for readers"),
        Key("app_protocol", TEXT, "the protocol, for readers"),
        Key("mode", Choice(("host", "ingress")), "accepted: both mean the same here"),
    ),
    build=forms.build_port,
)
_PORTS = many(Either("a port, HOST:CONTAINER, or a map", scalar=SHORT_PORT, mapping=LONG_PORT))
_TUNNELS = many(Parsed(forms.parse_tunnel, "[PORT:]HOST:PORT", spelled(forms.TUNNEL)))


class Ports:
    """A list; each element gives a list of ports."""

    def read(self, item: Item, where: Reading) -> Any:
        found = _PORTS.read(item, where)
        parts = item.items if isinstance(item, Items) else ()
        owned = [(index, it) for index in range(len(parts)) for it in found[index] or ()]
        noted: set[int] = set()
        for first, second in find_collisions([publish for _, publish in owned]):
            (owner, _), (index, publish) = owned[first], owned[second]
            if index not in noted:
                here, part = where.at(index), parts[index]
                port = here.told(
                    value_of(part, "published") if isinstance(part, Mapping) else part, publish.local
                )
                here.note(part, f"ports[{owner}] already uses port {port} of the laptop")
            noted.add(index)
        return found

    def schema(self) -> Schema:
        return _PORTS.schema()


class TunnelList:
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

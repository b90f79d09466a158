"""``ports``, in Compose's short and long form.  Docker refuses two for one laptop's port too late."""

from __future__ import annotations

from typing import Any

from devcluster.config.check.collisions import find_collisions
from devcluster.config.read import forms
from devcluster.config.read.document import Item, Mapping, value_of
from devcluster.config.read.document import Sequence as Items
from devcluster.config.read.shapes import Choice, Reading, Schema
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


class Ports:
    """A list; each element gives a list of ports."""

    def read(self, item: Item, where: Reading) -> Any:
        found = _PORTS.read(item, where)
        parts = item.items if isinstance(item, Items) else ()
        claims = [(index, it) for index in range(len(parts)) for it in found[index] or ()]
        noted: set[int] = set()
        for first, second in find_collisions([publish for _, publish in claims]):
            (owner, _), (index, publish) = claims[first], claims[second]
            if index not in noted:
                here, part = where.at(index), parts[index]
                port = here.told(
                    value_of(part, "published") if isinstance(part, Mapping) else part, publish.host
                )
                here.note(part, f"ports[{owner}] already uses port {port} of the laptop")
            noted.add(index)
        return found

    def schema(self) -> Schema:
        return _PORTS.schema()

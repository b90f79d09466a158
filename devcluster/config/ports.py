"""``ports``, in Compose's short and long form.  Two for one port of the laptop Docker refuses, too late."""

from __future__ import annotations

import ipaddress
from typing import Any

from devcluster.config import forms
from devcluster.config.document import Item
from devcluster.config.document import Sequence as Items
from devcluster.config.model import Publish
from devcluster.config.shapes import Choice, Reading, Schema
from devcluster.config.structures import Either, Key, Record, many
from devcluster.config.values import HOST_IP, PORT, PROTOCOL, PUBLISHED, SHORT_PORT, TEXT

LONG_PORT = Record(
    (
        Key("target", PORT, "the container's port", needed=True),
        Key("published", PUBLISHED, "the laptop's port, or FIRST-LAST"),
        Key("host_ip", HOST_IP, "the laptop's address"),
        Key("protocol", PROTOCOL, "tcp or udp"),
        Key("name", TEXT, "for people"),
        Key("app_protocol", TEXT, "for people"),
        Key("mode", Choice(("host", "ingress")), "the same here"),
    ),
    build=forms.build_port,
)
_PORTS = many(Either("a port, HOST:CONTAINER, or a map", scalar=SHORT_PORT, mapping=LONG_PORT))


class Ports:
    """A list; each element gives a list of ports."""

    def read(self, item: Item, where: Reading) -> Any:
        found = _PORTS.read(item, where)
        seen: list[tuple[Publish, int]] = []
        for index, part in enumerate(item.items if isinstance(item, Items) else ()):
            exact = [it for it in found[index] or () if it.host is not None and it.last is None]
            taken = [(it, first) for it in exact for other, first in seen if _collide(it, other)]
            for publish, first in taken[:1]:
                text = f"port {publish.host} of the laptop stands under ports[{first}] already"
                where.at(index).note(part, text)
            seen += [(it, index) for it in exact]
        return found

    def schema(self) -> Schema:
        return _PORTS.schema()


def _collide(one: Publish, other: Publish) -> bool:
    if (one.host, one.protocol) != (other.host, other.protocol):
        return False
    addresses = [ipaddress.ip_address(it.address) for it in (one, other)]
    same_family = addresses[0].version == addresses[1].version
    return same_family and (addresses[0] == addresses[1] or any(it.is_unspecified for it in addresses))

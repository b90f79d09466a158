"""Which ports of the local container are published on the laptop, and under which numbers.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from devcluster.config.model import Publish, Workload
from devcluster.rules.ports.ports import PortKey, declared_ports

Json = dict[str, Any]


def published_ports(
    container: Json, workload: Workload, port_map: Mapping[PortKey, int], served: Sequence[PortKey] = ()
) -> tuple[Publish, ...]:
    """Each TCP and UDP port of the container, declared, in *port_map* or *served*, under the pod's number,
    if that is free, and what the file adds.  What is written for a port of the local container replaces the
    default; [] publishes none."""
    written = workload.ports
    if written == ():
        return ()
    protocols: dict[str, Literal["tcp", "udp"]] = {"TCP": "tcp", "UDP": "udp"}
    said = {(publish.container, publish.protocol) for publish in written or ()}
    default = (
        Publish(
            container=port_map.get(key, key.number),
            local=key.number,
            protocol=protocols[key.protocol],
            written=False,
        )
        for key in dict.fromkeys((*declared_ports(container), *port_map, *served))
        if key.protocol in protocols
    )
    return (*(written or ()), *(it for it in default if (it.container, it.protocol) not in said))

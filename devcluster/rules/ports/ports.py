"""A port of a pod or of a Service: a number and a protocol.

8080/TCP and 8080/UDP are two ports: a DNS server has both, often under two names and in one Service.

Rules:
- a port is compared by both, wherever it occurs: in a Service, a container, a front, a published port;
- only TCP passes the agent so far; what speaks something else is named where it is left alone.

The naive way keeps the numbers and drops what is not TCP.  It loses the other port silently, and mistakes its
number for somebody else's port.

Source: https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/#ServiceSpec
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from devcluster.errors import ConfigurationError

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class PortKey:
    """``protocol`` as Kubernetes writes it: TCP, UDP or SCTP."""

    number: int
    protocol: str = "TCP"

    @property
    def led(self) -> bool:
        """Whether the agent can lead its connections to the laptop."""
        return self.protocol == "TCP"

    def __str__(self) -> str:
        return str(self.number) if self.protocol == "TCP" else f"{self.number}/{self.protocol}"


def service_port(item: Json) -> PortKey:
    """The port of one entry of a Service's ``ports``."""
    return PortKey(item["port"], item.get("protocol") or "TCP")


def container_port(item: Json) -> PortKey:
    """The port of one entry of a container's ``ports``."""
    return PortKey(item["containerPort"], item.get("protocol") or "TCP")


def declared_ports(container: Json) -> tuple[PortKey, ...]:
    """Each once, in the order of *container*: one port may have several names."""
    return tuple(dict.fromkeys(container_port(item) for item in container.get("ports") or []))


def declared_names(container: Json) -> dict[str, int]:
    """Port by name."""
    return {item["name"]: item["containerPort"] for item in container.get("ports") or [] if "name" in item}


def serving_containers(spec: Json) -> list[Json]:
    """The containers that run side by side, sidecars included.

    Source: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
    """
    sidecars = [it for it in spec.get("initContainers") or [] if it.get("restartPolicy") == "Always"]
    return [*spec["containers"], *sidecars]


def numbered(action: Json, container: Json) -> Json:
    """A probe or hook of *container* with named ports resolved to numbers; 0 for a name that no port has."""
    names = {port["name"]: port["containerPort"] for port in container.get("ports") or [] if "name" in port}
    result = copy.deepcopy(action)
    for handler in ("httpGet", "tcpSocket"):
        port = (result.get(handler) or {}).get("port")
        if isinstance(port, str):
            result[handler]["port"] = names.get(port, int(port) if port.isdigit() else 0)
    return result


def pod_ports(spec: Json) -> frozenset[PortKey]:
    """Every port that any container of a pod declares, one that only prepares it included."""
    containers = (*spec["containers"], *(spec.get("initContainers") or ()))
    return frozenset(port for container in containers for port in declared_ports(container))


def resolve_port_map(written: Sequence[tuple[int | str, int]], container: Json) -> dict[PortKey, int]:
    """Port of the pod to local port, of `port_map`.  ConfigurationError for a name that *container* lacks,
    and for a port to which only datagrams come."""
    names = {item["name"]: container_port(item) for item in container.get("ports") or [] if "name" in item}
    declared = set(declared_ports(container))
    found: dict[PortKey, int] = {}
    for port, local in written:
        if isinstance(port, str) and port not in names:
            has = ", ".join(sorted(names)) or "none"
            raise ConfigurationError(
                f"port_map: container {container['name']} has no port named {port}",
                hint=f"it names: {has}; a number works as well",
            )
        key = names[port] if isinstance(port, str) else PortKey(port)
        others = {it for it in declared if it.number == key.number and not it.led}
        if not key.led or (others and key not in declared):
            shown = key if not key.led else min(others)
            raise ConfigurationError(f"port_map: {port}: only TCP comes to the laptop, not port {shown}")
        if found.setdefault(key, local) != local:
            raise ConfigurationError(
                f"port_map: port {key} of the pod comes to {found[key]} and to {local}",
                hint="leave one of them out",
            )
    return found

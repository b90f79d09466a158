"""The gateway's settings, and the host process's part of its conversation: the laptop's resolver."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from devcluster.config.model import Network
from devcluster.edge.docker.gateway import DOOR_PORT
from devcluster.edge.lines import Json, RefusedError
from devcluster.rules.agent.facts import Listener, PodFacts
from devcluster.rules.ports.ports import PortKey
from devcluster.run.attach.sides import GatewayKeys

_TTL = 5  # seconds; the laptop's resolver does not tell
_UNKNOWN = (
    socket.EAI_NONAME,
    getattr(socket, "EAI_NODATA", socket.EAI_NONAME),
)  # it knows that there is none


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """One JSON line for the gateway's stdin (docs/architecture.md); keys and token stay out of repr."""

    token: str = field(repr=False)
    line: bytes = field(repr=False)


def gateway_settings(
    facts: PodFacts,
    entry: GatewayKeys,
    network: Network,
    *,
    docker_network: str,
    docker_gateway: str,
    port_map: Mapping[PortKey, int],
    extra_hosts: tuple[tuple[str, str], ...] = (),
) -> GatewaySettings:
    """The pod's names and address, our keys, and what the laptop answers itself."""
    token = secrets.token_hex(32)
    settings = {
        "token": token,
        "listen": DOOR_PORT,
        "key": entry.key.decode(),
        "agent": entry.agent,
        "epoch": entry.epoch,
        "address": facts.address,
        "resolv_conf": facts.resolv_conf,
        "hosts": facts.hosts + _render_hosts(extra_hosts, docker_gateway),
        "hostname": facts.hostname,
        "cluster_domains": list(cluster_domains(facts.resolv_conf)),
        "local_names": list(network.names),
        "local_networks": list(network.networks),
        "docker_network": docker_network,
        "docker_gateway": docker_gateway,
        "port_map": {str(key.number): local for key, local in port_map.items()},
        "neighbours": render_listeners(facts.neighbours),
    }
    return GatewaySettings(token, json.dumps(settings).encode() + b"\n")


def render_listeners(listeners: Sequence[Listener]) -> list[Json]:
    """In the form that the gateway reads."""
    return [asdict(listener) for listener in listeners]


def _render_hosts(extra_hosts: tuple[tuple[str, str], ...], docker_gateway: str) -> str:
    """Lines of /etc/hosts; ``host-gateway`` is the laptop, as in Compose."""
    pairs = [
        (name, docker_gateway if address == "host-gateway" else address) for name, address in extra_hosts
    ]
    return "".join(f"{address}\t{name}\n" for name, address in pairs)


def cluster_domains(resolv_conf: str) -> tuple[str, ...]:
    """The cluster's own domains, from a pod's search list: ``NS.svc.DOMAIN`` tells DOMAIN.

    Source: https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
    """
    domains: list[str] = []
    for line in resolv_conf.splitlines():
        words = line.split()
        if words[:1] == ["search"]:
            domains += [word.partition(".svc.")[2].rstrip(".") for word in words[1:] if ".svc." in word]
    return tuple(dict.fromkeys(domains)) or ("cluster.local",)


async def answer_gateway(request: Json) -> Json:
    """Answer what the gateway asks the host process."""
    if request["do"] != "resolve":
        raise RefusedError("unknown-request", f"unknown request {request['do']!r}", {})
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(request["name"], None, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        kind = "not-found" if error.errno in _UNKNOWN else "unavailable"
        raise RefusedError(kind, str(error), {}) from error
    except ValueError as error:  # what no name can be: an application may ask for any bytes
        raise RefusedError("not-found", "it is not a host's name", {}) from error
    addresses = sorted({str(address[4][0]) for address in found})
    return {"addresses": addresses, "ttl": _TTL}

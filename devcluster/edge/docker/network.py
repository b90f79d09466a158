"""The project's Docker network: its range must hold no address of the cluster.

The problem: an address in the Docker network's range is on link, so a Service with such an address would
never reach the gateway's TUN device.  Docker knows only the laptop's routes, not the cluster's.

Rules: take Docker's own choice first (it avoids the laptop's routes).  If that overlaps the cluster, try
candidates from the private ranges.  What counts as the cluster's is decided by
``rules.advice.network_overlap``, for `doctor` too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_network
from itertools import islice
from typing import Any

from devcluster.edge.docker.call import Calls, EngineRefusedError, GoneError
from devcluster.errors import EngineError
from devcluster.rules.advice.network_overlap import meets, neighbourhood
from devcluster.rules.container.docker_names import labels, network_name

_TRIES = 4  # ranges that no network of the engine has and that are refused all the same


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """``subnet`` as ``172.28.0.0/16``; ``gateway``: the laptop's own address there."""

    name: str
    subnet: str
    gateway: str


async def ensure_network(
    calls: Calls, project: str, avoid: Sequence[IPv4Network | IPv4Address]
) -> NetworkInfo:
    """The network as it is, or made; EngineError where no free range is left."""
    taken = tuple(neighbourhood(item) for item in avoid)
    name = network_name(project)
    found = await _look(calls, name)
    if found is not None and not meets(found.subnet, taken):
        return found
    if found is not None:
        await calls.call(f"remove network {name}, which overlaps the cluster", calls.api.remove_network, name)
    made = await _create(calls, project, None)
    if isinstance(made, NetworkInfo):
        if not meets(made.subnet, taken):
            return made
        await calls.call(f"remove network {name}", calls.api.remove_network, name)
    others = [IPv4Network(it.subnet) for it in await list_networks(calls)]
    for subnet in islice(candidates((*taken, *others)), _TRIES):
        if isinstance(made := await _create(calls, project, subnet), NetworkInfo):
            return made
    if isinstance(made, EngineRefusedError):
        raise made
    raise EngineError(
        f"no private range is left for the Docker network {name}",
        hint="`docker network prune` removes unused networks",
    )


def candidates(taken: Sequence[IPv4Network]) -> Iterator[IPv4Network]:
    """Ranges to try; first those that few clusters, offices and VPNs use."""
    ranges = [f"172.{part}.0.0/16" for part in range(31, 16, -1)]
    ranges += [f"192.168.{part}.0/24" for part in range(250, 100, -7)]
    ranges += [f"10.{part}.0.0/16" for part in range(213, 110, -7)]
    for text in ranges:
        if not meets(text, taken):
            yield IPv4Network(text)


async def _look(calls: Calls, name: str) -> NetworkInfo | None:
    try:
        found = await calls.call(f"inspect network {name}", calls.api.inspect_network, name)
    except GoneError:
        return None
    return _info(found)


async def _create(calls: Calls, project: str, subnet: IPv4Network | None) -> NetworkInfo | EngineRefusedError:
    """The engine's refusal is an answer: the range may be taken in ways that only the engine knows."""
    name = network_name(project)
    ipam = None
    if subnet is not None:
        ipam = {"Driver": "default", "Config": [{"Subnet": str(subnet), "Gateway": str(subnet[1])}]}
    try:
        await calls.make(
            f"create network {name}",
            calls.api.create_network,
            name,
            driver="bridge",
            ipam=ipam,
            check_duplicate=True,
            labels=labels(project, "network"),
        )
    except EngineRefusedError as error:  # or another `up` was faster
        return await _look(calls, name) or error
    made = await _look(calls, name)
    if made is None:
        raise GoneError(f"network {name} was removed by somebody else while it was made")
    return made


def _info(found: dict[str, Any]) -> NetworkInfo:
    for config in found["IPAM"]["Config"] or ():
        subnet = ip_network(config["Subnet"])
        if isinstance(subnet, IPv4Network):
            return NetworkInfo(found["Name"], str(subnet), config.get("Gateway") or str(subnet[1]))
    raise EngineError(f"the Docker network {found['Name']} has no IPv4 range", hint="remove it")


async def list_networks(calls: Calls) -> tuple[NetworkInfo, ...]:
    """All of the engine's networks that have an IPv4 range, by name."""
    found = []
    for item in await calls.call("list networks", calls.api.networks):
        with contextlib.suppress(EngineError):
            found.append(_info(item))
    return tuple(sorted(found, key=lambda info: info.name))


async def remove_network(calls: Calls, name: str) -> bool:
    """True when it is gone, False where a container uses it.  The endpoint of a container that was just
    removed may linger for a moment."""
    refusal: EngineRefusedError | None = None
    for pause in (0.0, 0.1, 0.3, 1.0):
        await asyncio.sleep(pause)
        try:
            await calls.call(f"remove network {name}", calls.api.remove_network, name)
        except GoneError:
            return True
        except EngineRefusedError as error:
            refusal = error
        else:
            return True
    assert refusal is not None
    try:
        found = await calls.call(f"inspect network {name}", calls.api.inspect_network, name)
    except GoneError:
        return True
    if not found.get("Containers"):
        raise refusal
    return False

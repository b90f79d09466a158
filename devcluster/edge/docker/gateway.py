"""The gateway's container, and the one that owns the network namespace it works in.

Rules:
- published ports belong to netns.  A port is never looked for and then bound: Docker binds it or refuses the
  start.  Then a port that the file names is an error, and any other one is left to Docker's choice.  Docker's
  words change from release to release and are never read: which port is taken is found out (``ports``), or
  tried;
- the gateway has NET_ADMIN and the TUN device and nothing else.  Its settings hold keys, so they go in by
  stdin, where no inspect, log or process list shows them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

from devcluster.config.model import Publish, Runtime
from devcluster.edge.docker.call import Calls, EngineRefusedError, GoneError
from devcluster.edge.docker.ports import find_refusals, port_error
from devcluster.edge.docker.streams import Attached, attach, until_line
from devcluster.errors import ConfigurationError, EngineError
from devcluster.rules.container.docker_names import container_name, labels, network_name
from devcluster.rules.ports.ports import PortKey

DOOR_PORT = 7900
_REMOVAL = 30.0  # seconds
_LOOPBACK6 = "net.ipv6.conf.lo.disable_ipv6"  # engines before 26.0 take ::1 away, which a pod has
_IPV6 = Path("/proc/sys/net/ipv6/conf/lo/disable_ipv6")
_DOOR = PortKey(DOOR_PORT)


@dataclass(frozen=True, slots=True, order=True)
class PublishedPort:
    """The container's *port* is *local* at *address* of the laptop, with the same protocol."""

    port: PortKey
    address: str
    local: int

    def __str__(self) -> str:
        return f"{self.address}:{self.local} -> {self.port}"


@dataclass(frozen=True, slots=True)
class NetnsInfo:
    """``ports``: what it publishes; ``address``: its own on the network."""

    container_id: str
    ports: tuple[PublishedPort, ...]
    door_port: int
    address: str


_Ports = tuple[Publish, ...]
_Start = Callable[[_Ports], Awaitable[NetnsInfo | EngineRefusedError]]


async def start_netns(
    calls: Calls,
    project: str,
    key: str,
    *,
    image: str,
    hostname: str,
    publishes: Sequence[Publish],
    runtime: Runtime | None = None,
) -> NetnsInfo:
    """A running netns; an older one of this workload is replaced.  From *runtime* it takes what belongs to
    the network: ``net.*`` sysctls and extra hosts."""
    name = container_name(project, key, "netns")

    async def start(ports: _Ports) -> NetnsInfo | EngineRefusedError:
        ipv6 = calls.is_local and _IPV6.exists()
        config = _netns_config(project, key, image, hostname, ports, runtime or Runtime(), ipv6)
        return await _start_netns(calls, name, config)

    wanted = (*publishes, Publish(container=DOOR_PORT, local=None, written=False))
    found = await start(wanted)
    return found if isinstance(found, NetnsInfo) else await _start_elsewhere(calls, start, wanted, found)


async def _start_netns(calls: Calls, name: str, config: dict[str, Any]) -> NetnsInfo | EngineRefusedError:
    """The engine's refusal to start it is an answer; then nothing is left behind."""
    await remove_container(calls, name)
    created = await calls.make(
        f"create container {name}", calls.api.create_container_from_config, config, name
    )
    try:
        await calls.make(f"start container {name}", calls.api.start, created["Id"])
    except EngineRefusedError as error:
        await remove_container(calls, name)
        return error
    return await netns_info(calls, created["Id"])


async def _start_elsewhere(
    calls: Calls, start: _Start, wanted: _Ports, refusal: EngineRefusedError
) -> NetnsInfo:
    """Try other ports, where these may be what was refused; ConfigurationError where the file names one of
    them."""
    refused = await find_refusals(calls, wanted)
    if written := [it for it in refused if it.publish.written]:
        raise port_error(written[0]) from refusal
    taken = {it.publish for it in refused}
    moved = tuple(_anywhere(it) if it in taken else it for it in wanted)
    loose = tuple(it if it.written else _anywhere(it) for it in wanted)
    for ports in dict.fromkeys((moved, loose)):
        if ports != wanted:
            found = await start(ports)
            if isinstance(found, NetnsInfo):
                return found
            refusal = found
    kept = [str(it) for it in loose if it.local]
    if kept and isinstance(found := await start(tuple(map(_anywhere, loose))), NetnsInfo):
        await remove_container(calls, found.container_id)
        raise ConfigurationError(
            f"Docker can't publish {', '.join(kept)} of `ports`: {refusal.explanation}",
            hint="write another one under `ports`",
        ) from refusal
    raise refusal


def _anywhere(publish: Publish) -> Publish:
    return replace(publish, local=None, last=None)


async def netns_info(calls: Calls, container: str) -> NetnsInfo:
    """What a running netns has published, read back."""
    found = await calls.call(f"inspect container {container}", calls.api.inspect_container, container)
    ports = tuple(sorted(set(_published(found["NetworkSettings"]["Ports"] or {}))))
    door = [item.local for item in ports if item.port == _DOOR]
    addresses = [item["IPAddress"] for item in found["NetworkSettings"]["Networks"].values()]
    if not found["State"]["Running"] or not door:
        raise GoneError(f"container {found['Name'].lstrip('/')} is not running")
    others = tuple(item for item in ports if item.port != _DOOR)
    return NetnsInfo(found["Id"], others, door[0], addresses[0])


def _published(ports: dict[str, list[dict[str, str]] | None]) -> Iterable[PublishedPort]:
    for inside, hosts in ports.items():
        number, _, protocol = inside.partition("/")
        port = PortKey(int(number), protocol.upper())
        for host in hosts or ():
            yield PublishedPort(port, host["HostIp"], int(host["HostPort"]))


def _netns_config(
    project: str,
    key: str,
    image: str,
    hostname: str,
    publishes: Sequence[Publish],
    runtime: Runtime,
    ipv6: bool,
) -> dict[str, Any]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for item in publishes:
        number = f"{item.local}-{item.last}" if item.last else str(item.local or 0)
        host = {"HostIp": item.address, "HostPort": number}
        bindings.setdefault(f"{item.container}/{item.protocol}", []).append(host)
    sysctls = {name: value for name, value in runtime.sysctls if name.startswith("net.")}
    loopback = {_LOOPBACK6: "0"} if ipv6 else {}
    return {
        "Image": image,
        "Cmd": ["hold"],
        "Hostname": hostname[:63],
        "Labels": labels(project, "netns", key),
        "ExposedPorts": {name: {} for name in bindings},
        "StopTimeout": 1,
        "HostConfig": {
            "NetworkMode": network_name(project),
            "PortBindings": bindings,
            "RestartPolicy": {"Name": "no"},
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": False,  # or the gateway could not write the shared /etc/hosts
            "Sysctls": {"net.ipv4.ip_unprivileged_port_start": "0"} | loopback | sysctls,
            "ExtraHosts": [f"{host}:{address}" for host, address in runtime.extra_hosts],
        },
    }


async def start_gateway(
    calls: Calls,
    project: str,
    key: str,
    netns_id: str,
    settings: bytes,
    *,
    image: str,
    seconds: float = 20.0,
) -> str:
    """The running gateway's id, once it has said ``ready``; otherwise EngineError with its own words."""
    name = container_name(project, key, "gateway")
    await remove_container(calls, name)
    config = _gateway_config(project, key, netns_id, image)
    created = await calls.make(
        f"create container {name}", calls.api.create_container_from_config, config, name
    )
    ready, words = await calls.call(f"start container {name}", _feed, calls, created["Id"], settings, seconds)
    if not ready:
        await remove_container(calls, name)
        raise EngineError(
            f"the gateway {name} did not start within {seconds:g} s: {words or 'it printed nothing'}",
            hint="it needs /dev/net/tun and NET_ADMIN of the Docker engine",
        )
    return str(created["Id"])


def _feed(calls: Calls, container: str, settings: bytes, seconds: float) -> tuple[bool, str]:
    attached: Attached = attach(calls, container)
    try:
        calls.api.start(container)
        attached.limit(seconds)
        attached.write(settings if settings.endswith(b"\n") else settings + b"\n")
        return until_line(attached, b"ready", seconds)
    finally:
        attached.close()


def _gateway_config(project: str, key: str, netns_id: str, image: str) -> dict[str, Any]:
    device = {"PathOnHost": "/dev/net/tun", "PathInContainer": "/dev/net/tun", "CgroupPermissions": "rwm"}
    return {
        "Image": image,
        "Cmd": ["gateway"],
        "Labels": labels(project, "gateway", key),
        "OpenStdin": True,
        "StdinOnce": False,
        "StopTimeout": 2,
        "HostConfig": {
            "NetworkMode": f"container:{netns_id}",
            "RestartPolicy": {"Name": "no"},
            "CapDrop": ["ALL"],
            "CapAdd": ["NET_ADMIN"],
            "SecurityOpt": ["no-new-privileges"],
            "Devices": [device],
        },
    }


async def remove_container(calls: Calls, container: str) -> None:
    """Remove it, whether it runs or not; it need not exist."""
    try:
        await calls.call(
            f"remove container {container}", calls.api.remove_container, container, force=True, v=True
        )
    except GoneError:
        return
    except EngineRefusedError as error:
        if error.status != HTTPStatus.CONFLICT:  # then somebody else removes it at this moment
            raise
        with contextlib.suppress(GoneError):
            await calls.call(
                f"await the removal of container {container}",
                calls.api.wait,
                container,
                timeout=_REMOVAL,
                condition="removed",
            )

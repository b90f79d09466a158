"""Ports of the laptop that can't be published: found by a bind, and by what the engine already publishes.

The problem: an engine that can't publish a port refuses to start the container, in words that change from
release to release.  The naive way reads those words, and `up` fails with the next engine although any other
port would do.

Rules:
- our own bind counts only if the engine runs on this machine; the engine tells what it publishes itself;
- the engine may be able to bind a port below 1024 when we can't, so only "in use" and "no such address"
  count;
- a port may be refused although nothing was found: the caller tries, and judges by whether the container
  started.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from devcluster.config.check.port_collisions import addresses_meet
from devcluster.config.model import Publish
from devcluster.edge.docker.call import Calls
from devcluster.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class PortRefusal:
    """Why *publish* can't be had.  ``foreign``: its address is not on this machine; otherwise it is taken, by
    the container ``owner`` or, where that is '', by another program."""

    publish: Publish
    owner: str = ""
    foreign: bool = False


async def find_refusals(calls: Calls, publishes: Iterable[Publish]) -> tuple[PortRefusal, ...]:
    """Which of *publishes* are known to be refused; of a range of ports (``last``) one free one is enough."""
    wanted = [it for it in publishes if it.local]
    if not wanted:
        return ()
    rows = await calls.call("list containers", calls.api.containers)
    found = await asyncio.to_thread(lambda: [_refusal(calls, rows, it) for it in wanted])
    return tuple(it for it in found if it is not None)


def port_error(refusal: PortRefusal) -> ConfigurationError:
    """For a port that is in the file."""
    publish = refusal.publish
    assert publish.local is not None
    if refusal.foreign:
        return ConfigurationError(
            f"{publish.address} under `ports` is not an address of this laptop",
            hint="127.0.0.1 is, and the default",
        )
    ports = f"ports {publish.local}-{publish.last}" if publish.last else f"port {publish.local}"
    owner = f" by container {refusal.owner}" if refusal.owner else ""
    other = f'"{(publish.last or publish.local) + 1}:{publish.container}"'
    return ConfigurationError(
        f"{ports} of the laptop {'are' if publish.last else 'is'} taken{owner}",
        hint=f"free it, or write another one under `ports`, e.g. {other}",
    )


def _refusal(calls: Calls, rows: Sequence[dict[str, Any]], publish: Publish) -> PortRefusal | None:
    assert publish.local is not None
    found = None
    for port in range(publish.local, (publish.last or publish.local) + 1):
        found = _published(rows, publish, port) or (_bound(publish, port) if calls.is_local else None)
        if found is None:
            return None
    return found


def _published(rows: Sequence[dict[str, Any]], publish: Publish, port: int) -> PortRefusal | None:
    for row in rows:
        for entry in row.get("Ports") or ():
            same = (entry.get("PublicPort"), entry.get("Type")) == (port, publish.protocol)
            if same and addresses_meet(entry["IP"], publish.address):
                return PortRefusal(publish, str(row["Names"][0].lstrip("/")))
    return None


def _bound(publish: Publish, port: int) -> PortRefusal | None:
    match _bind(publish.address, port, publish.protocol):
        case errno.EADDRINUSE:
            return PortRefusal(publish)
        case errno.EADDRNOTAVAIL:
            return PortRefusal(publish, foreign=True)
    return None


def _bind(address: str, port: int, protocol: str) -> int:
    """The error number of a bind as the engine's own would be, or 0."""
    udp, six = protocol == "udp", ":" in address
    try:
        family = socket.AF_INET6 if six else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as probe:
            if not udp:  # two could share a port of UDP by it
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if six:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((address, port))
    except OSError as error:
        return error.errno or 0
    return 0

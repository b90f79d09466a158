"""The project's tunnels: ports of the laptop that lead to what the first attached workload's pod reaches.

Rules:
- a port in the file is bound before anything is changed: if it is taken, `up` stops early;
- the pod for a connection is chosen when the connection comes: workloads come and go, and a container's
  gateway or a host's process is made anew;
- an edit keeps the tunnels that it does not touch, with their connections.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from devcluster.config.model import Tunnel, render_address
from devcluster.edge.lane.door import Door, open_stream
from devcluster.edge.lane.tunnel import End, bind_port, serve_tunnel
from devcluster.errors import ConfigurationError, EngineError
from devcluster.rules.container.tunnel_rewriting import OpenTunnel

_log = logging.getLogger("devcluster.host")


@dataclass(slots=True)
class _Listening:
    port: int
    written: bool
    task: asyncio.Task[None] = field(init=False)


class Tunnels:
    """Those of one session, whose *tasks* serve them.  *find_door*: the first attached workload's door, None
    while none is attached."""

    def __init__(self, tasks: asyncio.TaskGroup, find_door: Callable[[], Door | None]) -> None:
        self._tasks = tasks
        self._find_door = find_door
        self._open: dict[Tunnel, _Listening] = {}

    @property
    def sight(self) -> tuple[OpenTunnel, ...]:
        """The open ones, in the file's order."""
        return tuple(OpenTunnel(it.host, it.port, has.port) for it, has in self._open.items())

    async def open(self, wanted: Iterable[Tunnel]) -> None:
        """Open just these.  ConfigurationError where a port of the file is taken; then nothing is changed."""
        listed = tuple(wanted)
        going = {tunnel: has for tunnel, has in self._open.items() if tunnel not in listed}
        own = {has.port for has in going.values()}
        new = [tunnel for tunnel in listed if tunnel not in self._open]
        check_tunnels([tunnel for tunnel in new if tunnel.local not in own])
        for tunnel, has in going.items():
            del self._open[tunnel]
            has.task.cancel()
        await asyncio.gather(*(has.task for has in going.values()), return_exceptions=True)
        made = {tunnel: self._listen(tunnel) for tunnel in new}
        self._open = {tunnel: self._open.get(tunnel) or made[tunnel] for tunnel in listed}

    def close(self) -> None:
        """None listens any more."""
        for has in self._open.values():
            has.task.cancel()
        self._open.clear()

    def _listen(self, tunnel: Tunnel) -> _Listening:
        own = _bind(tunnel)
        has = _Listening(own.getsockname()[1], tunnel.local is not None)
        work = serve_tunnel(own, lambda: self._reach(tunnel))
        has.task = self._tasks.create_task(work, name=f"tunnel {tunnel}")
        has.task.add_done_callback(lambda _: own.close())  # also where it was cancelled before it began
        return has

    async def _reach(self, tunnel: Tunnel) -> End:
        to = render_address(tunnel.host, tunnel.port)
        if (door := self._find_door()) is None:
            raise EngineError(f"tunnel {to}: no workload is attached")
        try:
            return await open_stream(door, to)
        except EngineError as error:
            _log.warning("tunnel %s: %s", to, error)
            raise


def check_tunnels(wanted: Iterable[Tunnel]) -> None:
    """ConfigurationError where a port of the file is taken."""
    for tunnel in wanted:
        if tunnel.local is not None:
            _bind(tunnel).close()


def _bind(tunnel: Tunnel) -> socket.socket:
    try:
        return bind_port(tunnel.local)
    except PermissionError as error:
        raise ConfigurationError(
            f"tunnels: you may not open port {tunnel.local} of the laptop",
            hint=f'write a port from 1024 on, or none: "{render_address(tunnel.host, tunnel.port)}"',
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"tunnels: port {tunnel.local} of the laptop is taken",
            hint=f'free it, or take any free one: "{render_address(tunnel.host, tunnel.port)}"',
        ) from error

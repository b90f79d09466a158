"""A tunnel: a port on the laptop's 127.0.0.1 whose connections are opened by a pod.

A client must not notice it: a half-close passes through (``nc`` ends its input before it reads the answer),
and so does a reset.  The naive relay, which closes both ends as soon as one of them has ended, cuts off the
answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import cast

from devcluster.edge.lane.lanes import Side
from devcluster.errors import DevclusterError

Reach = Callable[[], Awaitable["End"]]
_ABORT = struct.pack("ii", 1, 0)  # SO_LINGER of no time: a close is a reset (socket(7))


class End(Side):
    """One end of somebody's own connection."""

    def __init__(self, *, head_end: bytes = b"") -> None:
        super().__init__(head_end=head_end)
        self._ended = False  # says no more

    def eof_received(self) -> bool:
        if not self.head.done() and self._head_end:
            return False  # it was to answer first
        self._ended = True
        if self.peer is not None:
            self._hand_on_end()
        return True

    def join(self, peer: Side) -> None:
        super().join(peer)
        for side in (self, cast(End, peer)):
            if side._ended:
                side._hand_on_end()

    def _hand_on_end(self) -> None:
        peer = cast(End, self.peer)
        if peer._ended:
            self.close()
            peer.close()
        elif peer.transport is not None:
            with contextlib.suppress(OSError, RuntimeError):  # it has gone meanwhile
                peer.transport.write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and isinstance(self.peer, End):
            self.peer.reset()
        super().connection_lost(exc)

    def reset(self) -> None:
        """End it as a refused connection ends."""
        if self.transport is None or self.transport.is_closing():
            return
        own = self.transport.get_extra_info("socket")
        if own is not None:
            with contextlib.suppress(OSError):
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        self.transport.abort()


class _Client(End):
    """A client on the laptop.  Nothing is read from it until the pod's end is connected."""

    def __init__(self, came: Callable[[_Client], None]) -> None:
        super().__init__()
        self._came = came

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._came(self)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.peer is None and self.transport is not None:
            self.transport.pause_reading()


def bind_port(port: int | None) -> socket.socket:
    """A socket on the laptop's 127.0.0.1; None: on any free port.  OSError where the port is taken."""
    own = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.bind(("127.0.0.1", port or 0))
        own.listen(128)  # two may be bound to one port, only one listens
    except BaseException:
        own.close()
        raise
    return own


async def serve_tunnel(own: socket.socket, reach: Reach) -> None:
    """Join each connection to *own* with what *reach* opens, until cancelled; where that fails the connection
    ends."""
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        clients: set[End] = set()

        def came(client: _Client) -> None:
            clients.add(client)
            client.lost.add_done_callback(lambda _: clients.discard(client))
            tasks.create_task(_join(client, reach), name="tunnel")

        server = await loop.create_server(lambda: _Client(came), sock=own)
        try:
            await loop.create_future()
        finally:
            server.close()
            for client in tuple(clients):
                client.reset()


async def _join(client: End, reach: Reach) -> None:
    try:
        other = await reach()
    except (DevclusterError, OSError, TimeoutError):
        client.reset()
        return
    if client.transport is None or client.transport.is_closing():
        other.reset()
        return
    other.join(client)

"""A relay in front of the API server that can fail: the laptop's kubeconfig points at it, ours does not.

It copies bytes and reads none, so TLS stays between the two ends.  ``drop`` keeps what stands and forwards
nothing (a network without a route says nothing either); ``reset`` breaks what stands and whatever comes;
``cut`` breaks what stands and lets new ones pass (the laptop's address changed); ``strand`` lets new ones
pass and swallows whatever is said on those that stand, their end too (nobody told the old address' peers).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import yaml

Mode = Literal["pass", "drop", "reset"]
_CHUNK = 65536
_UNDER_WAY = 256  # pieces that a delayed direction holds at most
Pieces = asyncio.Queue[tuple[float, bytes]]  # when each is due, by the monotonic clock; the empty one ends


class Relay:
    """See the module.  ``port``: on 127.0.0.1."""

    def __init__(self, host: str, port: int) -> None:
        self.mode: Mode = "pass"
        self.delay = 0.0  # seconds that each piece is under way; the next one does not wait for it
        self.port = 0
        self._target = (host, port)
        self._passing = asyncio.Event()
        self._passing.set()
        self._network = 0  # how often it was changed
        self._over = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    def set(self, mode: Mode) -> None:
        self.mode = mode
        if mode == "drop":
            self._passing.clear()
        else:
            self._passing.set()
        if mode == "reset":
            self.cut()

    def cut(self) -> None:
        """Reset every connection that stands."""
        for writer in tuple(self._writers):
            _reset(writer)

    def strand(self) -> None:
        """Lose every connection that stands, without a word to either side."""
        self._network += 1

    def end(self) -> None:
        """Break everything, for good."""
        self._over.set()
        self.set("reset")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the laptop's."""
        if self.mode == "reset":
            _reset(writer)
            return
        self._writers.add(writer)
        try:
            await self._passing.wait()
            far_reader, far = await asyncio.open_connection(*self._target)
            self._writers.add(far)
            try:
                async with asyncio.TaskGroup() as tasks:
                    for source, sink in ((reader, far), (far_reader, writer)):
                        pieces: Pieces = asyncio.Queue(_UNDER_WAY)
                        tasks.create_task(self._take(source, pieces, self._network), name="take")
                        tasks.create_task(self._deliver(pieces, sink), name="deliver")
            finally:
                self._writers.discard(far)
                far.close()
        except* OSError:
            pass  # what one end breaks, both see broken
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _take(self, reader: asyncio.StreamReader, pieces: Pieces, network: int) -> None:
        """A line's delay shifts what it carries and takes nothing of how much, so each piece gets its time of
        arrival as it comes in."""
        data = b"at least once"
        while data:
            data = await reader.read(_CHUNK)
            if network == self._network:
                await pieces.put((time.monotonic() + self.delay, data))
            elif not data:
                await self._over.wait()
                await pieces.put((0.0, data))

    async def _deliver(self, pieces: Pieces, writer: asyncio.StreamWriter) -> None:
        while True:
            due, data = await pieces.get()
            await asyncio.sleep(due - time.monotonic())
            await self._passing.wait()
            if not data:
                break
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.asynccontextmanager
async def open_relay(
    source: Path, target: Path, listening: socket.socket | None = None
) -> AsyncIterator[Relay]:
    """A relay to the cluster of *source*; *target* becomes the kubeconfig that leads through it.
    *listening*: on 127.0.0.1 of the laptop's network, where that is another one than ours."""
    config = yaml.safe_load(source.read_text())
    address = urlsplit(config["clusters"][0]["cluster"]["server"])
    relay = Relay(address.hostname or "127.0.0.1", address.port or 443)
    server = await asyncio.start_server(relay.serve, sock=listening or socket.create_server(("127.0.0.1", 0)))
    relay.port = server.sockets[0].getsockname()[1]
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{relay.port}"
    target.write_text(yaml.safe_dump(config))
    target.chmod(0o600)
    try:
        yield relay
    finally:
        server.close()
        relay.end()

"""A lane to an API server behind a network that loses what is sent to it for a while."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from devcluster.edge.kube.transport import UpgradeTarget
from devcluster.edge.lane.lanes import Side, dial


def _target(port: int) -> UpgradeTarget:
    return UpgradeTarget("127.0.0.1", port, "", "127.0.0.1", None, ())


async def test_a_network_that_is_back_is_noticed() -> None:
    """The listener's queue is full: the kernel drops what comes, as a network that is away."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        full.setblocking(False)
        target = _target(full.getsockname()[1])
        loop = asyncio.get_running_loop()
        crowd = [socket.socket() for _ in range(4)]
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", target.port))
        dialling = asyncio.create_task(dial(target, Side))
        await asyncio.sleep(7.3)  # the kernel's own next try is at 11 s, or at 15
        assert not dialling.done()
        began = time.monotonic()
        for one in crowd:
            one.close()

        async def serve() -> None:
            while True:
                (await loop.sock_accept(full))[0].close()

        serving = asyncio.create_task(serve())
        side = await dialling
        assert time.monotonic() - began < 2
        side.abort()
        serving.cancel()


async def test_a_refusal_is_told_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        await dial(_target(port), Side)

"""A gateway that says nothing: the error names where its log is."""

from __future__ import annotations

import asyncio
import socket

import pytest

from devcluster.edge.lane.door import Door, open_stream
from devcluster.errors import EngineError

_LOG = "docker logs devcluster-shop-web__gateway"


async def test_one_that_closes_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        door = Door(server.getsockname()[1], "token", _LOG)
        opening = asyncio.create_task(open_stream(door, "db:5432"))
        accepted, _ = await asyncio.to_thread(server.accept)
        accepted.close()
        with pytest.raises(EngineError, match=f"its log may say why: {_LOG}"):
            await opening


async def test_one_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(EngineError, match=f"127.0.0.1:{port} does not answer.*its log may say why: {_LOG}"):
        await open_stream(Door(port, "token", _LOG), "db:5432")

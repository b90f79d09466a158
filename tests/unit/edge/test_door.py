"""A gateway that says nothing: the error names where its log is."""

from __future__ import annotations

import asyncio

import pytest

from devcluster.edge.lane.door import Door, open_stream
from devcluster.errors import EngineError

_LOG = "docker logs devcluster-shop-web__gateway"


async def test_one_that_closes_the_connection() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(EngineError, match=f"its log may say why: {_LOG}"):
            await open_stream(Door(port, "token", _LOG), "db:5432")


async def test_one_that_is_not_there() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(EngineError, match=f"127.0.0.1:{port} does not answer.*its log may say why: {_LOG}"):
        await open_stream(Door(port, "token", _LOG), "db:5432")

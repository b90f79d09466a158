"""The project's tunnels: bound before anything changes, kept by an edit that does not name them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from devcluster.config.model import Tunnel
from devcluster.errors import ConfigurationError
from devcluster.run.local.tunnels import Tunnels


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[Tunnels]:
    """Tunnels that lead nowhere: no workload is attached."""
    async with asyncio.TaskGroup() as tasks:
        tunnels = Tunnels(tasks, lambda: None)
        yield tunnels
        tunnels.close()


async def test_a_free_port_is_told() -> None:
    async with opened() as tunnels:
        await tunnels.open([Tunnel("db", 3306)])
        (one,) = tunnels.sight
        assert (one.host, one.port) == ("db", 3306)
        reader, writer = await asyncio.open_connection("127.0.0.1", one.local)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


async def test_a_taken_port_changes_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with opened() as tunnels:
            await tunnels.open([Tunnel("a", 1)])
            before = tunnels.sight
            with pytest.raises(ConfigurationError, match=f"port {port} of the laptop is taken") as caught:
                await tunnels.open([Tunnel("b", 2), Tunnel("db", 3306, port)])
            assert caught.value.hint == 'free it, or take any free one: "db:3306"'
            assert tunnels.sight == before


async def test_an_edit_keeps_what_it_does_not_name_and_can_turn_a_port() -> None:
    async with opened() as tunnels:
        await tunnels.open([Tunnel("a", 1), Tunnel("b", 2)])
        first, second = tunnels.sight
        turned = Tunnel("c", 3, second.local)
        await tunnels.open([turned, Tunnel("a", 1)])
        assert [(it.host, it.local) for it in tunnels.sight] == [("c", second.local), ("a", first.local)]
        await tunnels.open([])
        assert tunnels.sight == ()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", first.local)

"""A tunnel joins a client of the laptop with what a pod has opened: ends and resets go through, both ways."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from devcluster.edge.background import running
from devcluster.edge.lane.tunnel import End, bind_port, serve_tunnel
from devcluster.errors import EngineError

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def tunnel(handle: Handle) -> AsyncIterator[int]:
    """A tunnel to a server that treats each connection by *handle*; its port."""
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def reach() -> End:
        _, end = await asyncio.get_running_loop().create_connection(End, "127.0.0.1", port)
        return end

    own = bind_port(None)
    async with running(serve_tunnel(own, reach), name="tunnel"):
        yield own.getsockname()[1]
    server.close()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers when the other side has ended."""
    writer.write(await reader.read())
    writer.close()


@pytest.mark.parametrize("size", [0, 1, 300_000])
async def test_what_is_said_before_a_half_close_is_answered(size: int) -> None:
    async with tunnel(_echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x" * size)
        writer.write_eof()
        assert await reader.read() == b"x" * size
        writer.close()


async def test_a_server_may_end_first() -> None:
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.write_eof()
        heard.set_result(await reader.read())
        writer.close()

    async with tunnel(speak) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b"hello"
        writer.write(b"later")
        writer.write_eof()
        assert await heard == b"later"
        writer.close()


async def test_a_reset_of_the_server_is_one_for_the_client() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        own = writer.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        writer.transport.abort()

    async with tunnel(reset) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


async def test_what_the_pod_is_refused_is_reset() -> None:
    async def refused() -> End:
        raise EngineError("ECONNREFUSED")

    own = bind_port(None)
    async with running(serve_tunnel(own, refused), name="tunnel"):
        reader, writer = await asyncio.open_connection("127.0.0.1", own.getsockname()[1])
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


async def test_its_end_ends_its_connections_and_frees_its_port() -> None:
    async with tunnel(_echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x")
        await writer.drain()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    bind_port(port).close()


async def test_a_port_has_one_owner() -> None:
    own = bind_port(None)
    with pytest.raises(OSError, match="in use"):
        bind_port(own.getsockname()[1])
    own.close()

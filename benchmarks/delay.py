"""A relay before an API server that makes it farther away: each byte waits for half of a round trip."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

_PARTS = 4096  # that are on their way at once


@asynccontextmanager
async def delayed(kubeconfig: Path, folder: Path, milliseconds: int) -> AsyncIterator[Path]:
    """*kubeconfig*, written anew into *folder*, with so much added to each round trip."""
    data = yaml.safe_load(kubeconfig.read_text())
    cluster = data["clusters"][0]["cluster"]
    host, _, port = cluster["server"].removeprefix("https://").partition(":")

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        way = milliseconds / 2000
        with contextlib.suppress(asyncio.CancelledError):  # at the end of it all
            await asyncio.gather(_carry(reader, back, way), _carry(there, writer, way))

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    cluster["server"] = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    changed = folder / f"kubeconfig-{milliseconds}"
    changed.write_text(yaml.safe_dump(data))
    try:
        yield changed
    finally:
        server.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_PARTS)
    sending = asyncio.ensure_future(_send(queue, writer))
    with contextlib.suppress(OSError):
        while part := await reader.read(65536):
            await queue.put((time.monotonic() + seconds, part))
    await queue.put((time.monotonic() + seconds, b""))
    await asyncio.gather(sending, return_exceptions=True)


async def _send(queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    while (item := await queue.get())[1]:
        await asyncio.sleep(max(0.0, item[0] - time.monotonic()))
        writer.write(item[1])
        await writer.drain()
    writer.close()

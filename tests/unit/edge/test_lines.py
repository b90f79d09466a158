"""A conversation that breaks off in the middle of a line is over, and nothing else is wrong."""

from __future__ import annotations

import asyncio

import pytest

from devcluster.edge.lines import Lines


async def test_a_line_that_is_cut_off_is_the_end() -> None:
    reader = asyncio.StreamReader()
    lines = Lines(reader, lambda _: None)
    reading = asyncio.create_task(lines.run())
    asked = asyncio.create_task(lines.call("inspect"))
    reader.feed_data(b'{"id": 1, "ok": {"environment": ["SE')
    await asyncio.sleep(0)
    reader.feed_eof()
    with pytest.raises(ConnectionError):
        await asked
    await reading

"""The laptop's end of the lanes as a plain process (`run: host`): ``devcluster-gateway host``.

Its settings hold keys, so they go in by its stdin; a command line can be read by everybody.  It ends when
that stdin ends, so nothing of it survives even if this process is killed.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from asyncio.subprocess import Process
from pathlib import Path

from devcluster.edge.lane.door import Door
from devcluster.edge.lines import Json
from devcluster.edge.streams import end_process, start_process
from devcluster.errors import FailedError

_PATIENCE = 15.0  # seconds until it must listen


class Program:
    """One that runs.  ``door``: where it lets us in."""

    def __init__(self, process: Process, door: Door) -> None:
        self.door = door
        self._process = process

    async def until_end(self) -> int:
        """Its exit code, once it has ended."""
        return await self._process.wait()

    async def close(self) -> None:
        """End it; it has ended when this returns."""
        await end_process(self._process)


async def start_program(binary: Path, settings: Json, log: Path) -> Program:
    """*settings*: all but the token (docs/architecture.md); *log*: where its stderr goes.  FailedError where
    it does not start."""
    token = secrets.token_hex(32)
    process = await start_process(binary, ["host"], log)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(settings | {"token": token}).encode() + b"\n")
        async with asyncio.timeout(_PATIENCE):
            told = await process.stdout.readline()
        return Program(process, Door(json.loads(told)["door"], token, str(log)))
    except (TimeoutError, ValueError) as error:
        await end_process(process)
        raise FailedError(f"the program that receives connections did not start; its log: {log}") from error
    except BaseException:
        await end_process(process)
        raise

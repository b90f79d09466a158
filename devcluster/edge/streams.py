"""A program's stdin and stdout, wherever it runs: as a plain process here, or in a container
(``docker.live``).

Callers read and write at the same time: the engine of a live volume also speaks unasked.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

from devcluster.errors import FailedError

_PART = 256 << 10
_GRACE = 5.0  # seconds to end by itself


class Streams(Protocol):
    """One running program."""

    def parts(self) -> AsyncIterator[bytes]:
        """What it writes, until it ends.  DevclusterError with its own words where it failed."""

    async def write(self, data: bytes) -> None:
        """Into its stdin; DevclusterError where nobody reads any more."""


@contextlib.asynccontextmanager
async def open_program(binary: Path, words: Sequence[str], log: Path) -> AsyncIterator[Streams]:
    """Run *binary* as a plain process of this laptop; it has ended when the block has.  *log*: where its
    stderr goes.  FailedError where it does not start."""
    process = await start_process(binary, words, log)
    try:
        yield _Program(process, words[0], log)
    finally:
        await end_process(process)


class _Program:
    def __init__(self, process: Process, role: str, log: Path) -> None:
        self._process, self._role, self._log = process, role, log
        self._writing = asyncio.Lock()

    async def parts(self) -> AsyncIterator[bytes]:
        assert self._process.stdout is not None
        while part := await self._process.stdout.read(_PART):
            yield part
        if code := await self._process.wait():
            raise FailedError(f"the program of role {self._role} ended with {code}; its log: {self._log}")

    async def write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            async with self._writing:
                self._process.stdin.write(data)
                await self._process.stdin.drain()
        except OSError as error:
            raise FailedError(f"the program of role {self._role} reads no more") from error


async def start_process(binary: Path, words: Sequence[str], log: Path) -> Process:
    """*binary* with its stdin and stdout in our hands; *log*: where its stderr goes.  FailedError where it
    does not start."""
    with log.open("ab") as complaints:
        try:
            return await asyncio.create_subprocess_exec(
                binary,
                *words,
                stdin=PIPE,
                stdout=PIPE,
                stderr=complaints,
                start_new_session=True,  # ^C in a terminal is for us, who still need it
            )
        except OSError as error:
            raise FailedError(f"{binary} can't be started: {error.strerror}") from error


async def end_process(process: Process) -> None:
    """By the end of its stdin, else by force; it has ended when this returns."""
    assert process.stdin is not None
    process.stdin.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_GRACE):
            await process.wait()
            return
    process.kill()
    await process.wait()

"""At most one host process for each project, and a way to know when it has ended.

The host process holds a lock on a file beside its socket; the kernel releases it when the process ends.  So
two `up` that start at the same time never both serve, and a command that asked for the end returns when
nothing of it runs any more.  A process number in a file would belong to another process after a reboot.

Source: flock(2)
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from pathlib import Path

from devcluster.errors import FailedError

_LOOK = 0.02  # seconds between two tries: flock can wait only for ever


class LockedError(FailedError):
    """Another process is this project's host process."""


async def lock(socket: Path, *, patience: float) -> None:
    """Take the project of *socket* for this process, until it ends.  LockedError where another process has it
    for *patience* seconds."""
    descriptor = _open(socket)
    try:
        async with asyncio.timeout(patience):
            await _until_locked(descriptor)  # and never closed: the kernel does
    except TimeoutError as error:
        os.close(descriptor)
        raise LockedError("another `devcluster up` of this project is running", hint="try again") from error


async def until_free(socket: Path, *, patience: float) -> None:
    """Wait until no process has the project, for *patience* seconds at most."""
    descriptor = _open(socket)
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await _until_locked(descriptor)
    finally:
        os.close(descriptor)


def _open(socket: Path) -> int:
    return os.open(socket.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


async def _until_locked(descriptor: int) -> None:
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(_LOOK)

"""A task that lives as long as a ``with`` block.

``asyncio.TaskGroup`` inside a context manager wraps every error of the block into an ExceptionGroup,
so the caller's ``except LaneError`` no longer matches.  Here the block's own error passes unchanged.

A cancellation must never be lost: who cancelled waits for the end, for ever.  Three ways lose it.
``await task`` hands it on to *task*, and what *task* answers looks like its own end.  ``TaskGroup``,
before Python 3.13, raises the error of one of its tasks instead, so that a loop that mends errors goes on.
And ``asyncio.wait_for``, before Python 3.12, answers instead where what it waits for has just ended
(``asyncio.timeout`` does not; the linter keeps to it).

Sources: https://github.com/python/cpython/issues/116720, https://github.com/python/cpython/issues/86296
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any


@contextlib.asynccontextmanager
async def running(work: Coroutine[Any, Any, None], *, name: str) -> AsyncIterator[asyncio.Task[None]]:
    """Run *work* beside the block; at its end *work* is cancelled and waited for, and its error is raised."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    try:
        yield task
    finally:
        task.cancel()
        await _ended(task)
        if not task.cancelled():
            task.result()


async def _ended(task: asyncio.Task[None]) -> None:
    """Return when *task* has ended; a cancellation of ours is raised then."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


async def apart(work: Coroutine[Any, Any, None], *, name: str) -> None:
    """Run *work* in a task of its own, to its end; cancelled with ours.  For work with a ``TaskGroup`` inside
    a loop that asks ``unless_cancelled``: before Python 3.13 a group one of whose tasks fails leaves its own
    task looking cancelled, for ever."""
    async with running(work, name=name) as task:
        await asyncio.wait({task})


def unless_cancelled() -> None:
    """CancelledError where this task was cancelled and an error came between: for loops that mend errors."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError

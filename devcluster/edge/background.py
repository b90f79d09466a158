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
from typing import Any, TypeVar

_T = TypeVar("_T")


@contextlib.asynccontextmanager
async def running(work: Coroutine[Any, Any, None], *, name: str) -> AsyncIterator[asyncio.Task[None]]:
    """Run *work* beside the block; at its end *work* is cancelled and waited for, and its error is raised."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    try:
        yield task
    finally:
        task.cancel()
        await ended(task)
        if not task.cancelled():
            task.result()


async def together(*work: Coroutine[Any, Any, _T], name: str) -> list[_T]:
    """All of *work* at once, and what they answer.  The first error is raised, when the others, cancelled,
    have ended: ``gather`` leaves them at work on what its caller then undoes."""
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(item, name=f"{name} {number}") for number, item in enumerate(work)]
    failed: list[asyncio.Task[_T]] = []
    try:
        if tasks:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            failed = [task for task in tasks if task in done and (task.cancelled() or task.exception())]
    finally:
        for task in tasks:
            task.cancel()
        await ended(*tasks)
    for task in failed:
        task.result()
    return [task.result() for task in tasks]


async def to_the_end(work: Coroutine[Any, Any, _T]) -> _T:
    """*work*'s result; a cancellation of ours is raised when *work* has ended by itself.  For what makes
    something by a thread, which can't be cancelled: it would be made when all has been tidied up."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        await ended(task)
    except asyncio.CancelledError:
        if not task.cancelled():
            task.exception()  # nobody asks for it any more
        raise
    return task.result()


async def ended(*tasks: asyncio.Task[Any]) -> None:
    """Return when all *tasks* have ended; a cancellation of ours is raised then."""
    cancelled: asyncio.CancelledError | None = None
    while any(not task.done() for task in tasks):
        try:
            await asyncio.wait(tasks)
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

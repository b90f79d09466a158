"""Tasks that live as long as a ``with`` block, and cancellations that are never lost.

``asyncio.TaskGroup`` inside a context manager wraps every error of the block into an ExceptionGroup, so the
caller's ``except LaneError`` no longer matches.  Here the block's own error passes unchanged.

Whoever cancels a task waits for its end, so a cancellation that is lost makes him wait for ever.  There are
three ways to lose one.  ``await task`` passes it on to *task*, and *task*'s answer then looks like its own
end.  Before Python 3.13 ``TaskGroup`` raises the error of one of its tasks instead, so a loop that recovers
from errors goes on.  Before Python 3.12 ``asyncio.wait_for`` returns a result instead, if what it waits for
has just ended (``asyncio.timeout`` does not; the linter insists on it).

Sources: https://github.com/python/cpython/issues/116720, https://github.com/python/cpython/issues/86296
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


def run_loop(work: Coroutine[Any, Any, _T]) -> _T:
    """``asyncio.run``, on a quicker loop where there is one."""
    try:
        import uvloop
    except ImportError:  # some systems don't have it
        return asyncio.run(work)
    return uvloop.run(work)


@contextlib.asynccontextmanager
async def running(work: Coroutine[Any, Any, None], *, name: str) -> AsyncIterator[asyncio.Task[None]]:
    """Run *work* beside the block.  At the end of the block *work* is cancelled and waited for, and its error
    is raised."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    try:
        yield task
    finally:
        task.cancel()
        await ended(task)
        if not task.cancelled():
            task.result()


async def together(*work: Coroutine[Any, Any, _T], name: str) -> list[_T]:
    """Run all of *work* at once and return the results.  The first error is raised, but only after the others
    have been cancelled and have ended: ``gather`` would leave them working on what its caller is about to
    undo."""
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
    """The result of *work*.  If we are cancelled, CancelledError is raised once *work* has ended by itself.
    It is for work in a thread, which can't be cancelled: what it makes would appear after everything has been
    tidied up."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        await ended(task)
    except asyncio.CancelledError:
        if not task.cancelled():
            task.exception()  # nobody asks for it any more
        raise
    return task.result()


async def ended(*tasks: asyncio.Task[Any]) -> None:
    """Return when all *tasks* have ended; if we were cancelled meanwhile, raise CancelledError then."""
    cancelled: asyncio.CancelledError | None = None
    while any(not task.done() for task in tasks):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


async def apart(work: Coroutine[Any, Any, None], *, name: str) -> None:
    """Run *work* in a task of its own, to its end; it is cancelled with ours.  Use it for work with a
    ``TaskGroup`` inside a loop that asks ``unless_cancelled``: before Python 3.13 a group whose task fails
    leaves its own task looking cancelled for ever."""
    async with running(work, name=name) as task:
        await asyncio.wait({task})


def unless_cancelled() -> None:
    """Raise CancelledError if this task was cancelled but another error got in between.  It is for loops that
    recover from errors."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError

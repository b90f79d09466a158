"""A cancellation is never lost, whatever else happens at that moment."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest

from devcluster.edge.background import apart, running, to_the_end, together, unless_cancelled


class _Work:
    """Ends slowly: cancelled, it waits for ``may_end``, then raises *error*."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.began, self.ending, self.may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._error = error

    async def run(self) -> None:
        self.began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.ending.set()
            await self.may_end.wait()
            if self._error is not None:
                raise self._error from None
            raise


async def test_a_cancellation_while_the_work_ends_is_raised_when_it_has() -> None:
    work, went_on = _Work(), False

    async def block() -> None:
        nonlocal went_on
        async with running(work.run(), name="work"):
            await work.began.wait()
        went_on = True

    task = asyncio.ensure_future(block())
    await work.ending.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()  # the work may still need what the block has open
    work.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not went_on


async def test_the_works_own_error_is_raised_at_the_end_of_the_block() -> None:
    work = _Work(ConnectionError("lost"))
    work.may_end.set()
    with pytest.raises(ConnectionError, match="lost"):
        async with running(work.run(), name="work"):
            await work.began.wait()


async def test_the_blocks_own_error_passes() -> None:
    work = _Work()
    work.may_end.set()
    with pytest.raises(LookupError):
        async with running(work.run(), name="work"):
            raise LookupError


async def test_a_loop_that_mends_errors_ends_with_a_cancellation() -> None:
    """Each round's TaskGroup answers the cancellation with its task's error."""
    work, rounds = _Work(ConnectionError("lost")), 0
    work.may_end.set()

    async def loop() -> None:
        nonlocal rounds
        while rounds < 3:
            rounds += 1
            with contextlib.suppress(ExceptionGroup):
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(work.run())
            unless_cancelled()

    task = asyncio.ensure_future(loop())
    await work.began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert rounds == 1


async def test_an_error_in_a_group_is_no_cancellation_of_the_loop_around_it() -> None:
    """A link that broke once must be opened anew."""
    tries = 0

    async def fail() -> None:
        await asyncio.sleep(0)
        raise OSError("the network")

    async def serve() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail())

    while tries < 3:
        tries += 1
        with contextlib.suppress(ExceptionGroup):
            await apart(serve(), name="serve")
        unless_cancelled()
    assert tries == 3


async def test_a_cancelled_loop_ends_though_its_group_answers_with_an_error() -> None:
    began = asyncio.Event()

    async def stubborn() -> None:
        try:
            began.set()
            await asyncio.Event().wait()
        finally:
            raise OSError("the network")

    async def serve() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(stubborn())

    async def loop() -> None:
        while True:
            with contextlib.suppress(ExceptionGroup):
                await apart(serve(), name="serve")
            unless_cancelled()

    task = asyncio.ensure_future(loop())
    await began.wait()
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=10)
    assert done == {task}
    assert task.cancelled()


async def test_the_first_error_of_several_is_raised_when_the_others_have_ended() -> None:
    work = _Work()

    async def fails() -> None:
        await work.began.wait()
        raise ConnectionError("lost")

    task = asyncio.ensure_future(together(work.run(), fails(), name="work"))
    await work.ending.wait()
    assert not task.done()
    work.may_end.set()
    with pytest.raises(ConnectionError, match="lost"):
        await task


async def test_several_are_cancelled_and_waited_for() -> None:
    work = _Work()
    task = asyncio.ensure_future(together(work.run(), name="work"))
    await work.began.wait()
    task.cancel()
    await work.ending.wait()
    assert not task.done()
    work.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_several_answers_are_in_order() -> None:
    async def answer(number: int) -> int:
        return number

    assert await together(answer(1), answer(2), name="work") == [1, 2]
    assert await together(name="none") == []


async def test_what_makes_something_is_not_left_in_the_middle() -> None:
    """The thread goes on when its caller is cancelled: who tidies up next must find what it made."""
    begun, go_on, made = threading.Event(), threading.Event(), []

    def make() -> None:
        begun.set()
        go_on.wait(5)
        made.append("network")

    task = asyncio.create_task(to_the_end(asyncio.to_thread(make)))
    await asyncio.to_thread(begun.wait, 5)
    task.cancel()
    asyncio.get_running_loop().call_later(0.05, go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert made == ["network"]


async def test_a_result_and_an_error_pass_unchanged() -> None:
    assert await to_the_end(asyncio.to_thread(int, "7")) == 7
    with pytest.raises(ValueError, match="seven"):
        await to_the_end(asyncio.to_thread(int, "seven"))

from __future__ import annotations

import asyncio

import pytest

from devcluster.deadline import Deadline


def test_what_is_left_never_falls_below_nothing() -> None:
    assert Deadline.after(-5).left() == 0.0
    assert 9 < Deadline.after(10).left() <= 10


def test_a_part_never_outlasts_the_whole() -> None:
    whole = Deadline.after(10)
    assert whole.part(60) is whole
    assert whole.part(1).left() <= 1


def test_putting_back_has_time_when_all_is_spent() -> None:
    assert Deadline.after(0).at_least(60).left() > 59
    whole = Deadline.after(300)
    assert whole.at_least(60) is whole


async def test_a_wait_ends_with_it() -> None:
    with pytest.raises(TimeoutError):
        async with Deadline.after(0.01).bound():
            await asyncio.Event().wait()

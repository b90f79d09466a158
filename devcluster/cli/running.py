"""A command's work, run to its end or to the end of its time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from devcluster.deadline import Deadline

_T = TypeVar("_T")
_SLACK = 5.0  # seconds: a wait inside that ends by the deadline says what it waited for


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """*work* to its end; it keeps its deadline by itself, since it has something to put back."""
    try:
        import uvloop
    except ImportError:  # it is not to be had everywhere
        return asyncio.run(work)
    return uvloop.run(work)


def run_within(deadline: Deadline, work: Coroutine[Any, Any, _T]) -> _T:
    """*work*, which changes nothing, to its end.  FailedError where *deadline* comes first."""

    async def bounded() -> _T:
        async with deadline.enforced(_SLACK):
            return await work

    return asyncio.run(bounded())

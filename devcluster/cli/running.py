"""A command's work that changes nothing, run to its end or to the end of its time.  What changes something
keeps its deadline by itself, since it has something to put back (``run_loop``)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from devcluster.deadline import Deadline

_T = TypeVar("_T")
_SLACK = 5.0  # seconds: a wait inside that ends by the deadline says what it waited for


def run_within(deadline: Deadline, work: Coroutine[Any, Any, _T]) -> _T:
    """*work* to its end.  FailedError where *deadline* comes first."""

    async def bounded() -> _T:
        async with deadline.enforced(_SLACK):
            return await work

    return asyncio.run(bounded())

"""How long a command may take: one moment, from the door to the last call.

A time-out for each wait adds up to a command that nobody bounded: five waits of five minutes each.  So the
door makes one ``Deadline``, every wait asks it what is left, and a wait that must leave time for others takes
a part.

Source: https://github.com/lsst-sqre/nublado, ``controller/src/controller/timeout.py``, which has this shape.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from devcluster.errors import FailedError


@dataclass(frozen=True, slots=True)
class Deadline:
    """``end``: by ``time.monotonic``; ``span``: seconds that it was made with, for messages; ``fixed``:
    somebody asked for it, else it is a default that gives way to better figures."""

    end: float
    span: float
    fixed: bool = True

    @staticmethod
    def after(seconds: float, *, fixed: bool = True) -> Deadline:
        """A deadline *seconds* from now."""
        return Deadline(time.monotonic() + seconds, seconds, fixed)

    def left(self) -> float:
        """Seconds until the end, never less than 0."""
        return max(self.end - time.monotonic(), 0.0)

    def part(self, seconds: float) -> Deadline:
        """*seconds* from now, or this deadline where that is sooner."""
        return Deadline.after(seconds) if seconds < self.left() else self

    def at_least(self, seconds: float) -> Deadline:
        """This deadline, or *seconds* from now where that is later: half an undo helps nobody."""
        return Deadline.after(seconds) if seconds > self.left() else self

    def stretched(self, seconds: float) -> Deadline:
        """At least *seconds* from now, unless somebody asked for less."""
        if self.fixed or seconds <= self.left():
            return self
        return Deadline.after(seconds, fixed=False)

    def bound(self) -> asyncio.Timeout:
        """``async with deadline.bound():`` raises TimeoutError at the end."""
        return asyncio.timeout(self.left())

    @contextlib.asynccontextmanager
    async def enforced(self, slack: float, phase: str = "") -> AsyncIterator[None]:
        """FailedError where the block goes on for *slack* seconds beyond the end: a wait inside that ends by
        itself says what it waited for.  *phase*: what the block does."""
        try:
            async with asyncio.timeout(self.left() + slack) as bound:
                yield
        except TimeoutError as error:
            if not bound.expired():
                raise
            what = f": {phase}" if phase else ""
            raise FailedError(
                f"not done after {self.span:.0f} s{what}", hint="`--timeout` gives it more time"
            ) from error

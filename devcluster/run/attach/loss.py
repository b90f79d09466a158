"""Somebody else takes the workload, or an agent is lost half-way: what a command is told then.

The record knows first who has it: an agent that is taken closes our connections before it says who took it,
and what is theirs must not be put back.  The naive way, to take a broken connection for a failure of the
agent, puts their workload back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from devcluster.edge.lines import RefusedError
from devcluster.errors import DevclusterError, FailedError, HeldError
from devcluster.run.attach.links import Links
from devcluster.run.attach.sides import ClusterSide
from devcluster.run.changes import Changes

_ASK = 5.0  # seconds for the record, when something else has failed already


class Loss:
    """One attachment's.  ``reason``: who has it now, and since when; '' while it is ours."""

    def __init__(self, links: Links, cluster: ClusterSide, changes: Changes) -> None:
        self.reason = ""
        self._links = links
        self._cluster = cluster
        self._changes = changes

    def note(self, reason: str) -> None:
        """Losing one pod means losing all: two laptops never share a workload."""
        self.reason = reason
        self._links.give_up(reason)
        self._changes.notify()

    def check(self) -> None:
        """HeldError where somebody else has it."""
        if self.reason:
            raise HeldError(self.reason, hint="`devcluster up --takeover` takes it back")

    @contextlib.asynccontextmanager
    async def translated(self) -> AsyncIterator[None]:
        """An agent that refuses, or is lost half-way, is a failure of this command and not a bug."""
        try:
            yield
        except (DevclusterError, RefusedError, ConnectionError, TimeoutError) as error:
            await self._ask()
            if isinstance(error, DevclusterError):
                raise
            if isinstance(error, RefusedError):
                raise FailedError(f"the agent refused: {error.text}") from error
            raise FailedError(f"the agent was lost: {error or type(error).__name__}") from error

    async def _ask(self) -> None:
        """HeldError where somebody else has it now."""
        self.check()
        with contextlib.suppress(DevclusterError, OSError, TimeoutError):
            try:
                async with asyncio.timeout(_ASK):
                    await self._cluster.verify()
            except RefusedError as refusal:
                self.note(refusal.text)
        self.check()

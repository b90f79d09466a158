"""Workloads that are attached for as long as somebody asks: a command of ``devcluster run``.

Whoever holds a leash has a connection to the host process, and letting go needs nothing else: the connection
ends with the command, with the terminal, and when the process is killed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from devcluster.errors import HeldError
from devcluster.run.host.session import Session
from devcluster.run.turn import Turn

Json = dict[str, Any]


class Leashes:
    """Those of one session; a workload has one at most."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._held: set[str] = set()

    def check(self, keys: Iterable[str]) -> None:
        """HeldError for a workload that a command serves: neither another one nor `up` takes it away."""
        if taken := sorted(self._held.intersection(keys)):
            raise HeldError(
                f"a `devcluster run` of this laptop serves {', '.join(taken)}",
                hint="end that command first, or name the workloads that are meant beside it",
            )

    async def hold(self, key: str, turn: Turn) -> Json:
        """Wait until the asker goes away, then hand *key* back; or until it has ended: ``{"reason"}``."""
        self.check([key])
        session = self._session
        attachment = session.attached(key)

        def over() -> bool:
            gone = session.attachments.get(key) is not attachment
            return gone or attachment.truth.state in ("failed", "held", "left")

        self._held.add(key)
        try:
            await session.changes.until(over)
            return {"reason": attachment.truth.reason or "it was handed back"}
        finally:
            self._held.discard(key)
            if session.attachments.get(key) is attachment:
                await session.leave((key,), turn)

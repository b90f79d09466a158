"""What serves on the laptop has stopped, and comes back by itself: nobody has to type `up`.

There are two cases.  The Docker engine went away and took everything along (``outage``); or the local
container ended with 0 and is started again, as its pod would be.  Connections wait in the agents meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from devcluster.edge.background import running
from devcluster.edge.lines import RefusedError
from devcluster.errors import DevclusterError
from devcluster.plan.handover import Handover
from devcluster.run.attach.executor import Executor
from devcluster.run.attach.links import Links
from devcluster.run.attach.sides import LocalSide
from devcluster.run.attach.snapshot import Known
from devcluster.run.changes import Changes
from devcluster.run.log import to_log
from devcluster.run.report import Report, silent
from devcluster.run.turn import Turn

_AGAIN = 1.0  # seconds until agents are asked again that could not be asked before
_TELL = 30.0  # seconds for an agent's answer: the application's start
_BROKEN = (DevclusterError, RefusedError, ConnectionError, TimeoutError)
_log = logging.getLogger("devcluster.host")


class Recovery:
    """One attachment's.  *lease*: seconds for which agents wait for a silent laptop."""

    def __init__(
        self,
        known: Known,
        handover: Handover,
        lease: float,
        executor: Executor,
        links: Links,
        local: LocalSide,
        changes: Changes,
    ) -> None:
        self._known = known
        self._handover = handover
        self._lease = lease
        self._executor = executor
        self._links = links
        self._local = local
        self._changes = changes

    @property
    def _key(self) -> str:
        return self._executor.wanted.workload.key

    async def start_again(self, turn: Turn) -> None:
        """After it ended with 0; where it does not come up it is handed back."""
        self._known.enter("starting")
        try:
            await self._executor.perform(self._handover.again, turn, tolerant=True)
        except (RefusedError, ConnectionError, TimeoutError) as error:  # the link says it again
            _log.warning("%s: an agent was not told: %s", self._key, error)
        except DevclusterError as error:
            if not self._local.sight.outage:
                self._known.unrecovered = str(error)
        self._known.resting = ""
        self._known.enter("attached")

    async def outlast(self, turn: Turn) -> None:
        """The Docker engine is away.  Connections wait in the agents for one lease, as they do for a silent
        laptop; then the original serves, and this laptop keeps the hold.  When the engine answers again its
        containers are started and, once they are healthy, get the traffic back."""
        self._known.traffic = "connections wait in the pods"
        try:
            async with running(self._without_engine(), name=f"agents without {self._key}"):
                if (starter := self._local.starter) is not None:
                    await starter.recover(turn, self._executor.agent)
        except _BROKEN as error:
            why = f"Docker is back, but the local container could not be started again: {error}"
            self._known.unrecovered = why
            self._changes.notify()
            return
        finally:
            self._known.traffic = ""
        _log.info("%s: the Docker engine is back", self._key)
        with contextlib.suppress(*_BROKEN):  # the link says it again
            await self._executor.perform(self._handover.recovery, Turn.of(_TELL, to_log))
        self._changes.notify()

    async def _without_engine(self) -> None:
        lease = self._lease  # what is under way to us by then is lost
        outage = self._executor.perform(self._handover.outage, Turn.of(lease, to_log), tolerant=True)
        await asyncio.gather(outage, asyncio.sleep(lease))
        self._known.traffic = "the original serves meanwhile"
        self._links.disengage()
        self._changes.notify()
        report: Report = to_log
        while True:  # pods come meanwhile, and an agent may not have answered
            await self._executor.perform(self._handover.absence, Turn.of(_TELL, report), tolerant=True)
            report = silent
            await asyncio.sleep(_AGAIN)

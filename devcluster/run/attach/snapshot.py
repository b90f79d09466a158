"""What is known of one attachment: it changes all the time, and at each moment it is one value, the snapshot.

Whoever learns something notes it here; what it means, ``rules.state`` says.  The naive way, a state that each
part sets as it sees fit, is wrong as soon as two things happen at once.
"""

from __future__ import annotations

import logging
import time

from devcluster.rules.state import Snapshot, Stage, Truth, judge
from devcluster.run.attach.executor import Executor
from devcluster.run.attach.links import Links
from devcluster.run.attach.loss import Loss
from devcluster.run.attach.sides import DriftSight, LocalSide
from devcluster.run.changes import Changes

_log = logging.getLogger("devcluster.host")


class Known:
    """One attachment's.  ``failure``: why it was handed back; ``unrecovered``: why the local side did not
    come back after an outage; ``traffic``: where connections go in an outage; ``resting``: that the local
    container has ended with 0, until it is healthy again; ``leaving``: we let go of it ourselves, and whoever
    else holds a part then takes nothing from us; ``removing``: what drifts now is our own doing."""

    def __init__(
        self, executor: Executor, links: Links, local: LocalSide, loss: Loss, changes: Changes
    ) -> None:
        self.stage: Stage = "starting"
        self.failure = ""
        self.unrecovered = ""
        self.traffic = ""
        self.resting = ""
        self.leaving = False
        self.removing = False
        self.drift = DriftSight(replicas=executor.wanted.replicas)
        self._executor = executor
        self._links = links
        self._local = local
        self._loss = loss
        self._changes = changes
        self._truth = Truth("starting", since=time.time())

    @property
    def snapshot(self) -> Snapshot:
        """All of it at this moment."""
        local, wanted, taken = self._local.sight, self._executor.wanted, self._loss.reason
        traffic = f"; {self.traffic}" if self.traffic else ""
        return Snapshot(
            wanted.workload.key,
            wanted.title,
            self.stage,
            pods=tuple(link.sight for link in self._links.staying),
            pods_wanted=self.drift.replicas,
            failure=self.failure,
            taken=taken,
            lost="" if taken else self._links.lost,
            outage=f"{local.outage}{traffic}" if local.outage else "",
            ended=self.unrecovered or local.ended,
            resting=self.resting or local.resting,
            wakes=local.wakes,
            lives=local.lives,
            silent=local.silent,
            drift=() if self.removing else self.drift.found,
            leaving=self.leaving,
            now=time.time(),
        )

    @property
    def truth(self) -> Truth:
        """State, reason and since when."""
        self._truth = judge(self.snapshot, self._truth)
        return self._truth

    @property
    def serves(self) -> bool:
        """Whether the laptop serves in the original's place."""
        return self.stage == "attached" and not self.leaving and not self._loss.reason

    def enter(self, stage: Stage) -> None:
        """*stage* begins."""
        self.stage = stage
        _log.info("%s: %s", self._executor.wanted.workload.key, self.truth.state)
        self._changes.notify()

    def leave(self) -> None:
        """From now on we let go of it."""
        self.leaving = True
        self._changes.notify()

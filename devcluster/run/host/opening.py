"""From what was read of a workload to an attachment: the agent in, the record ours, the keys in hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from devcluster.edge.agent.ssh import Keys
from devcluster.edge.lines import RefusedError
from devcluster.rules.identity import WorkloadRef
from devcluster.rules.marks import Holder, Record
from devcluster.run.host.attachment import Attachment
from devcluster.run.host.podlink import Claim, Wire
from devcluster.run.site import Site
from devcluster.run.turn import Turn
from devcluster.run.workload.holding import still_held
from devcluster.run.workload.install import Installed, install
from devcluster.run.workload.record import claim, find_mark, held
from devcluster.run.workload.wanted import Wanted


@dataclass(frozen=True, slots=True)
class Opening:
    """*holder*: as whom this host process holds."""

    site: Site
    holder: Holder

    async def install(self, wanted: Wanted, *, takeover: bool, begin: Callable[[], None]) -> Installed:
        """The agent in the workload.  Raises BusyError where somebody else installs it just now."""
        return await install(
            self.site.cluster,
            wanted.install,
            wanted.binary,
            Turn.of(self.site.timeout, self.site.report),
            holder=self.holder,
            takeover=takeover,
            begin=begin,
        )

    async def is_abandoned(self, wanted: Wanted) -> bool:
        """Whether the one in the record is not there any more, so that nobody need be asked."""
        mark = await find_mark(self.site.cluster, wanted.ref)
        if mark is None or mark.record.holder in (None, self.holder):
            return False
        return not await still_held(self.site.cluster, wanted.ref)

    async def claim(self, wanted: Wanted, installed: Installed, *, takeover: bool) -> Attachment:
        """The record ours, with a new epoch; HeldError where it is somebody else's."""
        cluster, namespace, holder = self.site.cluster, self.site.place.namespace, self.holder
        record = await claim(cluster, installed.ref, holder, takeover=takeover)
        said = Claim(
            epoch=record.epoch,
            holder={"user": holder.user, "host": holder.host, "project": holder.project},
            since=record.since,
            lease=wanted.project.agent.lease,
            order=wanted.order,
        )
        keys = Keys(laptop=installed.laptop_key.encode(), agent_public=installed.agent_public)

        async def verify() -> None:
            await self._verify(installed.ref, record)

        wire = Wire(
            cluster.upgrade_target,
            namespace,
            wanted.project.agent.port,
            keys,
            verify=verify,
            distrust=cluster.distrust,
        )
        return Attachment(self.site, wanted, said, wire)

    async def _verify(self, ref: WorkloadRef, record: Record) -> None:
        """RefusedError unless the cluster's record is still the one that was claimed."""
        mark = await find_mark(self.site.cluster, ref)
        if mark is not None and mark.record.epoch == record.epoch:
            return
        text = "handed back by somebody else" if mark else "its agent was taken out by somebody else"
        if mark and mark.record.holder:
            text = held(mark.record).message
        raise RefusedError("held", text, {})

"""From a workload of the file to an attachment: it is read, the agent installed, the record ours, the keys
at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from devcluster.config.model import Project
from devcluster.edge.agent.ssh import Keys
from devcluster.rules.cluster.marks import Holder
from devcluster.run.attach.agent_link import Tenure
from devcluster.run.attach.attachment import Attachment
from devcluster.run.attach.cluster_side import KubernetesSide
from devcluster.run.attach.sides import GatewayKeys, LocalSide
from devcluster.run.changes import Changes
from devcluster.run.cluster.holders import still_held
from devcluster.run.cluster.install import Installed, install
from devcluster.run.cluster.record import acquire, find_mark
from devcluster.run.image.images import NOTHING, Obtained
from devcluster.run.local.container_side import ContainerSide
from devcluster.run.local.process_side import ProcessSide
from devcluster.run.local.tunnels import Tunnels
from devcluster.run.site import Site
from devcluster.run.turn import Turn
from devcluster.run.wanted.wanted import Wanted, read_wanted


@dataclass(frozen=True, slots=True)
class Opening:
    """*holder*: who this host process holds as; *tunnels*, *changes*: the session's."""

    site: Site
    holder: Holder
    tunnels: Tunnels
    changes: Changes

    async def read(self, project: Project, key: str, obtained: Obtained = NOTHING) -> Wanted:
        """The workload as the file and the cluster say now; *obtained*: what was pulled for it."""
        workload = next(item for item in project.workloads if item.key == key)
        site = self.site
        return await read_wanted(site.cluster, site.docker, project, workload, site.place.namespace, obtained)

    async def install(
        self, wanted: Wanted, turn: Turn, *, takeover: bool, begin: Callable[[], None]
    ) -> Installed:
        """Install the agent in the workload.  BusyError where somebody else is installing it at
        this moment."""
        return await install(
            self.site.cluster,
            wanted.install,
            wanted.binary,
            turn,
            key=wanted.workload.key,
            holder=self.holder,
            takeover=takeover,
            begin=begin,
        )

    async def is_abandoned(self, wanted: Wanted) -> bool:
        """Whether the holder in the record is gone, so that nobody need be asked."""
        mark = await find_mark(self.site.cluster, wanted.ref)
        if mark is None or mark.record.holder in (None, self.holder):
            return False
        return not await still_held(self.site.cluster, wanted.ref)

    async def acquire(self, wanted: Wanted, installed: Installed, *, takeover: bool) -> Attachment:
        """Make the record ours, with a new epoch; HeldError where somebody else holds it."""
        cluster, holder = self.site.cluster, self.holder
        record = await acquire(cluster, installed.ref, holder, takeover=takeover)
        said = Tenure(
            epoch=record.epoch,
            holder={"user": holder.user, "host": holder.host, "project": holder.project},
            since=record.since,
            lease=wanted.project.agent.lease,
        )
        keys = Keys(laptop=installed.laptop_key.encode(), agent_public=installed.agent_public)
        changes = Changes(self.changes)
        port = wanted.project.agent.port
        side = KubernetesSide(cluster, wanted.object, record.epoch, port=port, keys=keys)
        entry = GatewayKeys(record.epoch, keys.laptop, keys.agent_public)
        self.site.place.note_workload(wanted.workload.key, wanted.ref)
        return Attachment(wanted, said, side, self._local_side(wanted, entry, changes), changes)

    def _local_side(self, wanted: Wanted, entry: GatewayKeys, changes: Changes) -> LocalSide:
        if wanted.workload.run == "host":
            return ProcessSide(self.site, wanted, entry, self.tunnels, changes)
        return ContainerSide(self.site, wanted, entry, changes)

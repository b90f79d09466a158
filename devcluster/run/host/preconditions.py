"""What `up` can know before its first change: what the file, the laptop and the rights do not allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.run.cluster.laptop_ports import check_ports
from devcluster.run.cluster.permission import check_rights
from devcluster.run.cluster.wanted import Wanted, check_datagrams, check_targets
from devcluster.run.exports import Exports
from devcluster.run.site import Site, host_program
from devcluster.run.volume.folders import check_folders


async def check_before(
    site: Site, wanted: Sequence[Wanted], only: Sequence[str], others: Mapping[str, WorkloadRef]
) -> None:
    """Raises what `up` would fail by, half-way.  *only*: the workloads that change, () for all; *others*:
    keys that stay attached beside *wanted*, and what they hold."""
    check_targets(wanted, others)
    for item in wanted:
        check_datagrams(item)
    await check_ports(site.docker, site.place.id, wanted, only)
    await check_folders(site.place, wanted)
    for item in wanted:
        await check_rights(site.cluster, item.install)
    if any(item.serving.needs_program for item in wanted):
        host_program()
    Exports(site.place).check(it.workload.env_export for it in wanted if it.workload.env_export)

"""What `up` can know before its first change: what the file, the laptop or the rights don't allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from devcluster.deadline import Deadline
from devcluster.edge.docker.engine import Docker
from devcluster.edge.kube.cluster import Cluster
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.run.cluster.permission import check_rights
from devcluster.run.exports import Exports
from devcluster.run.place import Place
from devcluster.run.site import host_program, live_program
from devcluster.run.volume.folders import check_folders
from devcluster.run.volume.measure import Measured, measure
from devcluster.run.wanted.laptop_ports import check_ports
from devcluster.run.wanted.wanted import Wanted, check_datagrams, check_targets


async def check_before(
    place: Place,
    cluster: Cluster,
    docker: Docker,
    wanted: Sequence[Wanted],
    only: Sequence[str],
    others: Mapping[str, WorkloadRef],
    deadline: Deadline,
) -> dict[str, tuple[Measured, ...]]:
    """Raise now what would otherwise make `up` fail half-way; `plan` asks the same.  *only*: the workloads
    that change, () for all; *others*: keys that stay attached beside *wanted*, and what they hold.
    Answers how large the volumes are of those that get an agent, by key."""
    measured: dict[str, tuple[Measured, ...]] = {}
    check_targets(wanted, others)
    for item in wanted:
        check_datagrams(item)
    await check_ports(docker, place.id, wanted, only)
    await check_folders(place, wanted)
    for item in wanted:
        await check_rights(cluster, item.install)
        if not item.install.adopted:  # else the agent says the same, before anything changes
            measured[item.workload.key] = await measure(cluster, item, deadline)
    if any(item.serving.needs_program for item in wanted):
        host_program()
    if any(item.is_live and item.serving.copies_in == "folder" for item in wanted):
        live_program()
    Exports(place).check(it.workload.env_export for it in wanted if it.workload.env_export)
    return measured

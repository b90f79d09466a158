"""Which of a pod's volumes are copied, and where to: by what the pod's container really mounts."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Any

from devcluster.config.text.globs import matches
from devcluster.edge.agent.ssh import AgentLink
from devcluster.edge.docker.files import VolumeDestination
from devcluster.edge.docker.memory import MemoryDestination
from devcluster.edge.folder.folder import FolderDestination
from devcluster.edge.folder.one_file import FileDestination
from devcluster.edge.kube.cluster import Cluster
from devcluster.rules.container.local_container import VolumeBind
from devcluster.rules.volume.mountinfo import mounted_volumes
from devcluster.rules.volume.volumes import (
    PodVolume,
    VolumePlan,
    covered_paths,
    labelled,
    nested,
    pod_volumes,
    resolve_volumes,
)
from devcluster.run.site import Site
from devcluster.run.volume.private_copy import TreeSource
from devcluster.run.volume.roots import destination_below
from devcluster.run.volume.single_file import SingleSource
from devcluster.run.wanted.wanted import Wanted

Json = dict[str, Any]
Destination = VolumeDestination | FolderDestination | FileDestination


@dataclass(frozen=True, slots=True)
class Copy:
    """``label``: the volume's name, or the mount path where a volume is mounted twice; ``exclude``: also what
    is mounted within it."""

    plan: VolumePlan
    label: str
    destination: Destination
    exclude: tuple[str, ...] = ()

    @property
    def root(self) -> str:
        """Where the pod has it."""
        return self.plan.volume.mount_path

    @property
    def file(self) -> str:
        """The name of the one file that the mount is, or ''."""
        return file_of(self.plan)

    @property
    def bind(self) -> VolumeBind:
        """As the container mounts it."""
        volume = self.plan.volume
        file = self.file if isinstance(self.destination, VolumeDestination) else ""
        return VolumeBind(self.destination.name, volume.mount_path, volume.read_only, file)

    @property
    def is_live(self) -> bool:
        """Whether it is kept the same as the pod's, both ways."""
        return self.plan.mode == "sync"

    def source(self, link: AgentLink) -> TreeSource:
        return SingleSource(link, self.file) if self.file else link


async def read_plans(cluster: Cluster, wanted: Wanted, link: AgentLink) -> tuple[VolumePlan, ...]:
    """What becomes of each mount of the container that *link*'s agent runs in.  ConfigurationError where the
    file asks for what can't be had."""
    spec = await _read_spec(cluster, wanted, link.address.pod)
    facts = await link.inspect([volume.mount_path for volume in spec])
    return resolve(wanted, mounted_volumes(spec, facts))


def resolve(wanted: Wanted, volumes: tuple[PodVolume, ...]) -> tuple[VolumePlan, ...]:
    """By the file."""
    workload = wanted.workload
    covered = covered_paths(workload)
    return resolve_volumes(volumes, workload.volumes, workload=workload.key, covered=covered)


async def _read_spec(cluster: Cluster, wanted: Wanted, pod: str) -> tuple[PodVolume, ...]:
    """By the pod itself, in which is what admission added; what was predicted where it is gone."""
    pods = await cluster.list("pod", wanted.ref.namespace, selector=wanted.object.selector)
    for item in pods.items:
        if item["metadata"]["name"] == pod:
            spec = item["spec"]
            containers: list[Json] = spec["containers"]
            mine = next(it for it in containers if it["name"] == wanted.object.container)
            return pod_volumes(mine, spec.get("volumes") or [])
    return tuple(plan.volume for plan in wanted.volumes)


def list_copies(site: Site, wanted: Wanted, plans: tuple[VolumePlan, ...]) -> tuple[Copy, ...]:
    """Of each that is not off; a single file that ``exclude`` names is not mounted."""
    return tuple(
        Copy(plan, label, _destination(site, wanted, plan, label), (*plan.exclude, *nested(plan, plans)))
        for plan, label in labelled(plans)
        if plan.mode != "off" and not _is_excluded(plan)
    )


def _is_excluded(plan: VolumePlan) -> bool:
    file = file_of(plan)
    return bool(file) and matches(file, plan.exclude)


def _destination(site: Site, wanted: Wanted, plan: VolumePlan, label: str) -> Destination:
    key, mount, file = wanted.workload.key, plan.volume.mount_path, file_of(plan)
    if plan.path is not None:
        return FileDestination(plan.path, file) if file else FolderDestination(plan.path)
    if wanted.serving.copies_in == "folder":  # what serves mounts nothing
        return destination_below(site.place, key, mount, file)
    if plan.in_memory:
        return MemoryDestination(site.engine, site.place.id, key, label, plan.volume.size_limit)
    return VolumeDestination(site.engine, site.place.id, key, label)


def file_of(plan: VolumePlan) -> str:
    """The name of the one file that the mount is, or ''."""
    return posixpath.basename(plan.volume.mount_path) if plan.volume.is_file else ""

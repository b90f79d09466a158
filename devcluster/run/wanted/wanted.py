"""One workload of the file, with everything that was read of cluster and engine.  Nothing is changed here.

All of it is read before the first change, so that a mistake in the file, an image that can't be found or a
taken port ends the command with nothing to put back.  An image that is not here yet is obtained later
(``images``); until then part of it is unknown, which ``unknown`` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from devcluster.config.model import Order, Project, Publish, Take, Workload
from devcluster.edge.docker.engine import Docker
from devcluster.edge.kube.agent import AgentBinary
from devcluster.edge.kube.cluster import Cluster
from devcluster.edge.kube.workload import WorkloadObject, find_workload
from devcluster.errors import ConfigurationError
from devcluster.plan.handover import Handover, plan_handover
from devcluster.plan.install import InstallPlan, Observed, Wish, base_template, plan_install
from devcluster.plan.serving import Serving, serving_of
from devcluster.rules.advice.crashes import find_weak
from devcluster.rules.advice.datagrams import refuse_datagrams
from devcluster.rules.advice.policies import Closed, choose_take, find_closed
from devcluster.rules.advice.warnings import Caution
from devcluster.rules.cluster.architecture import Machine
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.memory import admitted_memory
from devcluster.rules.cluster.template import find_container, is_wrapped
from devcluster.rules.container.environment import rewritable_services
from devcluster.rules.container.health import HealthPlan, healthcheck_source
from devcluster.rules.container.image import ImageFacts
from devcluster.rules.container.image_environment import ImageEnvironment
from devcluster.rules.container.pod_times import whole_time
from devcluster.rules.kinds.kind import Claims
from devcluster.rules.kinds.table import kind_of
from devcluster.rules.ports.ports import PortKey, resolve_port_map
from devcluster.rules.ports.published_ports import published_ports
from devcluster.rules.volume.live import live_mounts
from devcluster.rules.volume.volumes import VolumePlan, covered_paths, pod_volumes, resolve_volumes
from devcluster.run.cluster.observe import observe
from devcluster.run.image.environment import read_image_environment
from devcluster.run.image.images import (
    NOTHING,
    Images,
    Obtained,
    choose_images,
    pod_image,
    unread_command,
)
from devcluster.run.wanted.agent_binary import read_machine
from devcluster.run.wanted.cautions import read_cautions

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """``images``: of the local container and of the pod; ``services``: the names of all Services in the
    namespace; ``seen``: addresses of the cluster, which Docker's network must not cover; ``cautions``: what
    somebody should know before anything happens."""

    project: Project
    workload: Workload
    object: WorkloadObject
    install: InstallPlan
    binary: AgentBinary
    images: Images
    order: Order
    publishes: tuple[Publish, ...]
    port_map: Mapping[PortKey, int]
    volumes: tuple[VolumePlan, ...]
    health: HealthPlan
    services: tuple[str, ...]
    image_environment: ImageEnvironment
    seen: tuple[str, ...]
    cautions: tuple[Caution, ...]
    container: Json = field(repr=False)
    pod_spec: Json = field(repr=False)

    @property
    def ref(self) -> WorkloadRef:
        return self.object.ref

    @property
    def title(self) -> str:
        return str(self.ref)

    @property
    def image(self) -> ImageFacts:
        """What the local container runs, once it is here."""
        local = self.images.local
        assert local is not None, "a process has none"
        assert local.facts is not None, "obtain_images comes first"
        return local.facts

    @property
    def unknown(self) -> str:
        """What only the pull of the pod's image will tell, in words; '' where everything is known."""
        if self.images.pod is None or not self.images.pending:
            return ""
        return (
            f"until `up` has pulled image {self.images.pod.source}, its command and its stop signal are "
            "unknown: `up` may still refuse it, or replace an installed agent"
        )

    @property
    def serving(self) -> Serving:
        """What it needs from everybody else."""
        return self.install.wish.serving

    @property
    def handover(self) -> Handover:
        """How it is taken and given back."""
        wish = self.workload
        take: Take = "front" if self.serving.fronts else "direct"
        serves_on = kind_of(self.ref).serves_on(self.object.object, self.install.observed.claims)
        return plan_handover(wish.mode, self.order, take, wish.run, live=self.is_live, serves_on=serves_on)

    @property
    def is_live(self) -> bool:
        """Whether what is written to a volume is sent to the pod."""
        return any(plan.mode == "sync" for plan in self.volumes)

    @property
    def patience(self) -> float:
        """Seconds in which it has stopped and started, by its own figures."""
        return whole_time(self.object.object, self.pod_spec)

    @property
    def replicas(self) -> int:
        return self.object.replicas


@dataclass(frozen=True, slots=True)
class _Live:
    """A workload and what is around it at one moment; ``current``: of its ``pods`` those that stay."""

    target: WorkloadObject
    pods: tuple[Json, ...]
    current: tuple[Json, ...]
    observed: Observed


async def _read_live(cluster: Cluster, workload: Workload, namespace: str) -> _Live:
    target = await find_workload(cluster, workload.target, namespace)
    pods = (await cluster.list("pod", namespace, selector=target.selector)).items
    current = _current(pods, target)
    admitted = admitted_memory(pods, target.container, wrapped=is_wrapped)
    observed = replace(await observe(cluster, target), admitted=admitted, weak=find_weak(current))
    return _Live(target, pods, current, observed)


async def read_wanted(
    cluster: Cluster,
    docker: Docker,
    project: Project,
    workload: Workload,
    namespace: str,
    obtained: Obtained = NOTHING,
) -> Wanted:
    """*obtained*: what ``obtain_images`` pulled.  Raises ConfigurationError and ClusterError."""
    live = await _read_live(cluster, workload, namespace)
    target, current, observed = live.target, live.current, live.observed
    services = tuple(sorted(item["metadata"]["name"] for item in observed.services))
    rewritable_services(workload, services, namespace)
    base = base_template(observed)
    original = find_container(base, target.container)
    image_id = _image_id(current, target.container)
    images = await choose_images(docker, workload, original, image_id, obtained)
    facts = pod_image(images, workload, original)
    machine, binary = await read_machine(cluster, base["spec"], live.pods, facts)
    unread = not serving_of(workload).needs_image and facts is None
    volumes = _volumes(workload, target, base["spec"], current)
    wish = _wish(project, workload, machine, binary)
    wish = replace(wish, image=facts, pending=images.pending or unread, live=live_mounts(volumes))
    install, closed = _plan(observed, wish, workload)
    if unread and images.needed and not images.pending and not install.adopted:
        raise unread_command(workload.key, original["image"], images.trouble)
    container = find_container(install.base, target.container)
    port_map = resolve_port_map(workload.port_map, container)
    ours = (one for pod in current for one in pod["spec"]["containers"] if one["name"] == target.container)
    cautions = await read_cautions(cluster, target, install, live.pods, workload, closed, tuple(port_map))
    return Wanted(
        project=project,
        workload=workload,
        object=target,
        install=install,
        binary=binary,
        images=images,
        order=_order(workload, target, observed.claims),
        publishes=published_ports(container, workload, port_map, install.served)
        if wish.serving.publishes
        else (),
        port_map=port_map,
        volumes=volumes,
        health=healthcheck_source(container, workload, port_map, install.served),
        services=services,
        image_environment=await read_image_environment(
            cluster, workload, images, (container, *ours), namespace
        ),
        seen=_addresses(live.pods, observed.services),
        cautions=cautions,
        container=container,
        pod_spec=install.base["spec"],
    )


def _plan(observed: Observed, wish: Wish, workload: Workload) -> tuple[InstallPlan, tuple[Closed, ...]]:
    """And what NetworkPolicies shut out of it, where connections are taken at fronts."""
    install = plan_install(observed, wish)
    closed = find_closed(observed.policies, install.base, install.fronts)
    serving = serving_of(workload, choose_take(workload.take, workload.mode, closed))
    if serving != wish.serving:
        install = plan_install(observed, replace(wish, serving=serving))
    return install, closed


def _order(workload: Workload, target: WorkloadObject, claims: Claims) -> Order:
    """A command starts when the original has stopped: callers wait in the pods rather than here."""
    if workload.commanded:
        return "stop-first"
    return workload.order or kind_of(target.ref).order(target.object, claims)


def _wish(project: Project, workload: Workload, machine: Machine, binary: AgentBinary) -> Wish:
    """But for the pod's image."""
    return Wish(
        digest=binary.digest,
        chunks=binary.chunks,
        serving=serving_of(workload),
        services=workload.services,
        port=project.agent.port,
        fronts=project.agent.fronts,
        lease=project.agent.lease,
        delivery=project.agent.delivery,
        pin=machine.pin,
        doubt=machine.doubt,
    )


def check_targets(wanted: Sequence[Wanted], attached: Mapping[str, WorkloadRef]) -> None:
    """ConfigurationError where two keys mean one workload of the cluster in words that can't be compared in
    the file alone (``web`` and ``deployment/web``): the second would take the first one's agent for its own.

    *attached*: other keys, and what they hold.
    """
    owners = {ref: key for key, ref in attached.items()}
    for item in wanted:
        first = owners.setdefault(item.ref, item.workload.key)
        if first != item.workload.key:
            held = first in attached
            raise ConfigurationError(
                f"workloads.{item.workload.key}: {item.ref} is the target of {first} already",
                hint=f"`devcluster down {first}` gives it back" if held else "leave one of them out",
            )


def check_datagrams(wanted: Wanted) -> None:
    """ConfigurationError where a process would miss some of what comes to the pod."""
    install = wanted.install
    if wanted.serving.datagrams == "refused":
        refuse_datagrams(wanted.workload, install.observed.services, install.base, wanted.object.container)


def _current(pods: tuple[Json, ...], target: WorkloadObject) -> tuple[Json, ...]:
    """Those that stay, the newest first; with the template's image, if there are any: others may belong to
    another release (or to a webhook that rewrites images)."""
    image = find_container(target.template, target.container)["image"]

    def images(pod: Json) -> list[str]:
        return [it["image"] for it in pod["spec"]["containers"] if it["name"] == target.container]

    def stays(pod: Json) -> bool:
        ended = (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")
        return bool(images(pod)) and not ended and not pod["metadata"].get("deletionTimestamp")

    staying = sorted(filter(stays, pods), key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    exact = [pod for pod in staying if image in images(pod)]
    return tuple(reversed(exact or staying))


def _volumes(
    workload: Workload, target: WorkloadObject, pod_spec: Json, pods: tuple[Json, ...]
) -> tuple[VolumePlan, ...]:
    """From a running pod, since only there the service account's token is mounted; otherwise from the
    template."""
    spec = pods[0]["spec"] if pods else pod_spec
    mounted = next(item for item in spec["containers"] if item["name"] == target.container)
    added = kind_of(target.ref).volumes(target.object)
    found = pod_volumes(mounted, [*added, *(spec.get("volumes") or [])])
    covered = covered_paths(workload)
    return resolve_volumes(found, workload.volumes, workload=workload.key, covered=covered)


def _image_id(pods: tuple[Json, ...], container: str) -> str:
    for pod in pods:
        for status in (pod.get("status") or {}).get("containerStatuses") or []:
            if status["name"] == container and status.get("imageID"):
                return str(status["imageID"])
    return ""


def _addresses(pods: tuple[Json, ...], services: tuple[Json, ...]) -> tuple[str, ...]:
    found = {(pod.get("status") or {}).get("podIP") for pod in pods}
    found |= {(pod.get("status") or {}).get("hostIP") for pod in pods}
    found |= {service["spec"].get("clusterIP") for service in services}
    return tuple(sorted(address for address in found if address and address != "None"))

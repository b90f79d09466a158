"""``env``: the environment of one workload, as its local side has it or as the pod does."""

from __future__ import annotations

import contextlib
from typing import Any

from devcluster.edge.kube.cluster import Cluster
from devcluster.edge.kube.workload import find_workload
from devcluster.errors import ConfigurationError
from devcluster.plan.serving import serving_of
from devcluster.rules.agent.facts import PodFacts
from devcluster.rules.container.environment import local_environment
from devcluster.rules.container.image_environment import SAME_IMAGE, ImageEnvironment
from devcluster.rules.container.tunnel_rewriting import OpenTunnel
from devcluster.run.commands.project import open_meant, place_in
from devcluster.run.host.socket import AbsentError, EndedError, ask
from devcluster.run.report import silent
from devcluster.run.request import Request
from devcluster.run.wanted.installed_agent import open_installed

Json = dict[str, Any]


async def environment(request: Request, *, raw: bool) -> tuple[tuple[str, str], ...]:
    """The environment of one workload, from its agent."""
    workload = request.wanted[0]
    async with open_meant(request) as cluster:
        namespace = cluster.namespace
        found = await find_workload(cluster, workload.target, namespace)
        async with open_installed(cluster, found, request.deadline) as link:
            if link is None:
                raise ConfigurationError(
                    f"{found.ref} has no agent, and only the agent knows the whole environment",
                    hint=f"`devcluster up {workload.key}` installs it",
                )
            facts = await link.inspect()
        if raw:
            return facts.environment
        if not serving_of(workload).in_pod_network:
            return await _of_process(cluster, request, facts)
        services = tuple(
            item["metadata"]["name"] for item in (await cluster.list("service", namespace)).items
        )
        images = await _image_environment(cluster, request)
    made = local_environment(facts.environment, workload, services, namespace, images)
    return made.variables


async def _of_process(cluster: Cluster, request: Request, facts: PodFacts) -> tuple[tuple[str, str], ...]:
    """As the host process has it, which knows the tunnels' ports; without one, as the file says."""
    from devcluster.edge.docker.engine import open_docker
    from devcluster.run.local.process_side import process_environment
    from devcluster.run.wanted.wanted import read_wanted

    workload, project = request.wanted[0], request.project
    assert project is not None
    place = place_in(cluster, request)
    with contextlib.suppress(AbsentError, EndedError, ConfigurationError):
        answer = await ask(
            place.socket, {"do": "environment", "workload": workload.key}, silent, request.deadline
        )
        return tuple((name, value) for name, value in answer["variables"])
    async with open_docker() as docker:
        wanted = await read_wanted(cluster, docker, project, workload, cluster.namespace)
    tunnels = tuple(OpenTunnel(it.host, it.port, it.local) for it in project.tunnels if it.local)
    return process_environment(place, wanted, facts, tunnels).variables


async def _image_environment(cluster: Cluster, request: Request) -> ImageEnvironment:
    """The variables of another image, from Docker; none if the pod's own image runs."""
    workload, project = request.wanted[0], request.project
    if workload.image is None or project is None:
        return SAME_IMAGE
    from devcluster.edge.docker.engine import open_docker  # half of the time of `list`
    from devcluster.run.wanted.wanted import read_wanted

    async with open_docker() as docker:
        return (await read_wanted(cluster, docker, project, workload, cluster.namespace)).image_environment

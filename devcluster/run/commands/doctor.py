"""Look at everything that `up` will need, change nothing, and say what is wrong before it hurts.

If Docker can't be reached, the cluster is checked all the same.  They are asked one after the other: both
libraries import requests, and two threads that import it at the same time can each see half of it.
"""

from __future__ import annotations

import asyncio
import datetime
import statistics
from typing import Any

from devcluster.config.model import Agent
from devcluster.edge.docker.engine import Engine, open_engine
from devcluster.edge.kube.cluster import Cluster
from devcluster.edge.kube.workload import check_namespace
from devcluster.errors import ClusterError, ConfigurationError, DevclusterError
from devcluster.plan.serving import serving_of
from devcluster.rules.advice.doctor import (
    OLDEST_DOCKER,
    OLDEST_KUBERNETES,
    Check,
    check_clock,
    check_disk,
    check_expiry,
    check_needless,
    check_networks,
    check_rights,
    check_version,
)
from devcluster.rules.cluster.rights import RIGHTS, Right
from devcluster.run.cluster.quietly import list_quietly
from devcluster.run.commands.project import open_meant
from devcluster.run.place import check_home
from devcluster.run.request import Request

Json = dict[str, Any]

_BOOT = "/.devcluster/bin/boot"
_ROUNDS = 5


async def examine(request: Request) -> tuple[Check, ...]:
    """Every line, in the order docker, networks, cluster, credentials, clock, rights, lane, state."""
    engine_checks, networks = await _docker(request)
    cluster_checks, seen = await _cluster(request)
    meeting = check_networks(networks, seen) if networks is not None else ()
    return (*engine_checks, *meeting, *cluster_checks, *_state(request))


def _state(request: Request) -> list[Check]:
    """A line if devcluster can't keep its own files."""
    try:
        check_home(request.environ)
    except ConfigurationError as error:
        return [_bad("state", error)]
    return []


async def _docker(request: Request) -> tuple[list[Check], dict[str, str] | None]:
    """Docker's lines, and the range of each network; None if Docker does not answer, or is not needed."""
    workloads = request.project.workloads if request.project is not None else ()
    if workloads and not any(serving_of(workload).needs_engine for workload in workloads):
        return [check_needless()], None
    try:
        async with open_engine() as engine:
            return await _engine(engine)
    except DevclusterError as error:
        return [_bad("docker", error)], None


async def _engine(engine: Engine) -> tuple[list[Check], dict[str, str]]:
    facts = await engine.describe()
    by = f"context {facts.context}" if facts.context else "DOCKER_HOST"
    text = f"engine {facts.version} at {facts.host} ({by}), {facts.architecture}"
    text += ", rootless" if facts.rootless else ""
    networks = {info.name: info.subnet for info in await engine.list_networks()}
    version = check_version("docker", facts.version, OLDEST_DOCKER, text, 5)
    return [version, check_disk(facts.free_bytes)], networks


async def _cluster(request: Request) -> tuple[list[Check], list[tuple[str, str]]]:
    checks: list[Check] = []
    try:
        async with open_meant(request) as cluster:
            credentials = await cluster.credentials()
            now = datetime.datetime.now(datetime.UTC)
            checks.append(
                check_expiry(credentials.kind, credentials.expires, now, renewable=credentials.renewable)
            )
            ping = await cluster.ping()
            text = f"Kubernetes {ping.version} at {cluster.server} (context {cluster.context})"
            text += f", namespace {cluster.namespace}"
            checks.insert(0, check_version("cluster", ping.version, OLDEST_KUBERNETES, text, 4))
            checks.append(check_clock(ping.skew))
            checks += await find_namespace(cluster)
            missing = await find_missing(cluster)
            checks += check_rights(missing, len(RIGHTS), cluster.namespace)
            checks.append(await _lane(cluster, missing, ping.seconds))
            return checks, await find_addresses(cluster)
    except DevclusterError as error:
        return [*checks, _bad("cluster", error)], []


def _bad(subject: str, error: DevclusterError) -> Check:
    return Check(subject, "bad", error.message, error.hint, error.exit_code)


async def find_namespace(cluster: Cluster) -> tuple[Check, ...]:
    """A line if it does not exist: the API server grants rights in any namespace, even in one that does not
    exist."""
    try:
        await check_namespace(cluster, cluster.namespace)
    except ConfigurationError as error:
        return (_bad("cluster", error),)
    return ()


async def find_missing(cluster: Cluster) -> tuple[Right, ...]:
    """Which of RIGHTS the API server would not grant."""

    async def granted(right: Right) -> bool:
        return await cluster.may(right.verb, right.group, right.resource, cluster.namespace)

    answers = await asyncio.gather(*(granted(right) for right in RIGHTS))
    return tuple(right for right, answer in zip(RIGHTS, answers, strict=True) if not answer)


async def _lane(cluster: Cluster, missing: tuple[Right, ...], seconds: float) -> Check:
    """Which kind of lane will be used, and the round trip: to an agent if one is installed."""
    lost = {(right.verb, right.resource) for right in missing}
    server = f"{seconds * 1000:.1f} ms to the API server and back"
    if ("get", "pods/proxy") in lost:
        if ("get", "pods/portforward") in lost:
            return Check("lane", "bad", "neither pods/proxy nor pods/portforward is allowed", _ROLE, 4)
        return Check("lane", "warning", f"by port-forward, which is slower; {server}", _ROLE)
    agent = await _agent(cluster)
    if agent is None:
        return Check("lane", "ok", f"by the pod proxy; {server}; no agent is installed in this namespace")
    name, port = agent
    try:
        rounds = [await cluster.pod_live(name, cluster.namespace, port) for _ in range(_ROUNDS)]
    except ClusterError as error:
        text = f"the pod proxy does not reach the agent of pod {name}: {error.message}"
        return Check("lane", "warning", text, "lanes use port-forward, which is slower")
    return Check(
        "lane", "ok", f"by the pod proxy, {statistics.median(rounds) * 1000:.1f} ms to pod {name} and back"
    )


_ROLE = "`devcluster role` prints the Role for an administrator to apply"


async def _agent(cluster: Cluster) -> tuple[str, int] | None:
    """A running pod with an agent, and the agent's port."""
    for pod in await list_quietly(cluster, "pod", cluster.namespace):
        for container in pod["spec"]["containers"]:
            if (container.get("command") or [""])[0] == _BOOT and (pod.get("status") or {}).get("podIP"):
                return pod["metadata"]["name"], agent_port(container)
    return None


def agent_port(container: Json) -> int:
    """The port where kubelet checks that the agent is alive; somebody may have changed the probe."""
    asked = (container.get("livenessProbe") or {}).get("httpGet") or {}
    return int(asked["port"]) if str(asked.get("port")).isdigit() else Agent().port


async def find_addresses(cluster: Cluster) -> list[tuple[str, str]]:
    """What is known of the cluster's IPv4 addresses and ranges, each with the object that it belongs to.

    These are the namespace's pods and Services and, if they can be read, the API server's own Service and the
    nodes' ranges.  The nodes' own addresses are left out: a node may be a container in one of Docker's
    networks (kind's, a sandbox's).
    """
    pods, services, server, nodes = await asyncio.gather(
        list_quietly(cluster, "pod", cluster.namespace),
        list_quietly(cluster, "service", cluster.namespace),
        _api_server(cluster),
        list_quietly(cluster, "node", None),
    )
    found = [(_pod_address(pod), f"pod {pod['metadata']['name']}") for pod in pods]
    found += [(one["spec"].get("clusterIP"), f"service {one['metadata']['name']}") for one in services]
    found += [(one["spec"].get("clusterIP"), "service kubernetes in default") for one in server]
    found += [(one["spec"].get("podCIDR"), f"node {one['metadata']['name']}") for one in nodes]
    return [(text, of) for text, of in found if text and text.count(".") == 3]


def _pod_address(pod: Json) -> str | None:
    status = pod.get("status") or {}
    return None if pod["spec"].get("hostNetwork") else status.get("podIP")


async def _api_server(cluster: Cluster) -> tuple[Json, ...]:
    try:
        return (await cluster.get("service", "kubernetes", "default"),)
    except ClusterError:
        return ()

"""Which Services lead to a workload, and how their connections are led to the agent first.  Pure.

A Service sends to a port *name* or a port *number* of the pod.  A name simply moves, in the pod's
template, to the agent's front port: kube-proxy follows pod by pod, so no connection is lost during the
roll-out.  A number is in the Service itself; it is changed after the roll-out and changed back before
the roll-out of ``down``, so that at each moment the port that the Service names is open.

Left alone, with a reason: a numeric port of a Service that selects pods of other workloads too (they have
no agent), every port of a headless Service (its clients connect to the pod's own port), a Service that
`services` does not list, and whatever is not TCP: the agent does not lead it yet.

A name that leads a Service which is left alone stays where it is.  Then the others that use it are led by the
front's number, as those that name a number.

Source: https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/#ServiceSpec
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from devcluster.errors import ConfigurationError
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.ports.ports import (
    PortKey,
    container_port,
    declared_ports,
    pod_ports,
    service_port,
    serving_containers,
)

Json = dict[str, Any]
TargetPort = int | str

_HIGHEST = 65535


@dataclass(frozen=True, slots=True)
class Route:
    """One port of a Service that leads to *container_port*, which speaks the same protocol.

    ``target``: targetPort as it is.  ``left_alone``: why its connections don't pass the agent, or '';
    ``unlisted``: only because the file does not name the Service, which an edit may change.
    """

    service: str
    port: PortKey
    target: TargetPort
    container_port: PortKey
    left_alone: str = ""
    unlisted: bool = False


@dataclass(frozen=True, slots=True)
class PortMove:
    """A targetPort and what replaces it while the agent is installed."""

    service: str
    port: PortKey
    original: TargetPort
    front: int


@dataclass(frozen=True, slots=True)
class FrontPort:
    """A port of the application that the agent can lead; ``front`` None: its connections don't pass it.
    ``staying``: names that the port keeps; the others move to the front."""

    port: PortKey
    front: int | None = None
    name: str | None = None
    staying: frozenset[str] = frozenset()

    @property
    def entrance(self) -> tuple[PortKey, ...]:
        """The front's, or ()."""
        return () if self.front is None else (PortKey(self.front, self.port.protocol),)

    @property
    def keys(self) -> tuple[PortKey, ...]:
        """Every port of the pod at which the agent may take its connections."""
        return (self.port, *self.entrance)


def selects(service: Json, labels: Mapping[str, str]) -> bool:
    """Whether *service* sends to pods with *labels*.  No selector: to none that it knows."""
    selector = service["spec"].get("selector") or {}
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def routes(
    services: Sequence[Json],
    template: Json,
    *,
    container: str,
    others: Sequence[Mapping[str, str]] = (),
    only: Collection[str] | None = None,
) -> tuple[Route, ...]:
    """Every way into *container*; *others*: labels of pods that are not the workload's; *only*: the Services
    that may be led (None: all)."""
    labels = template.get("metadata", {}).get("labels") or {}
    found = []
    for service in sorted(services, key=lambda item: str(item["metadata"]["name"])):
        if not selects(service, labels):
            continue
        wanted = only is None or service["metadata"]["name"] in only
        shared = any(selects(service, other) for other in others)
        for item in service["spec"].get("ports") or []:
            for route in _route(service, item, template, container, shared):
                found.append(route if wanted else _unlisted(route))
    return tuple(found)


def _unlisted(route: Route) -> Route:
    return replace(route, left_alone="`services` does not list it", unlisted=not route.left_alone)


@dataclass(frozen=True, slots=True)
class Passing:
    """One port of a Service that leads to another container of the pod; ``container`` '': that nobody
    declares, so that it is only said to be the application's."""

    service: str
    port: PortKey
    container: str
    number: int


def passing(services: Sequence[Json], template: Json, *, container: str) -> tuple[Passing, ...]:
    """Every way into the pod that leads past *container*, or may; () where the pod has no other one."""
    labels, spec = template.get("metadata", {}).get("labels") or {}, template["spec"]
    beside = [one for one in serving_containers(spec) if one["name"] != container]
    found = []
    for service in services if beside else ():
        for item in service["spec"].get("ports") or [] if selects(service, labels) else ():
            port = service_port(item)
            target = item.get("targetPort") or port.number
            owner, number = resolve_target(target, port.protocol, spec, container)
            if number is None:
                continue
            declared = PortKey(number, port.protocol) in pod_ports({"containers": serving_containers(spec)})
            if owner != container or not declared:
                name = service["metadata"]["name"]
                found.append(Passing(name, port, owner if declared else "", number))
    return tuple(sorted(found, key=lambda it: (it.service, it.port)))


def known_ports(template: Json, services: Sequence[Json]) -> tuple[PortKey, ...]:
    """What the containers of a pod declare, in their order, then what Services lead to besides."""
    containers = template["spec"]["containers"]
    declared = [key for container in containers for key in declared_ports(container)]
    led = {
        it.container_port for one in containers for it in routes(services, template, container=one["name"])
    }
    return tuple(dict.fromkeys([*declared, *sorted(led)]))


def check_listed(
    listed: Collection[str], services: Sequence[Json], found: Collection[Route], ref: WorkloadRef
) -> None:
    """ConfigurationError for a name of `services` that no Service has, that does not lead to *ref*, or that
    can't be led to the laptop; *found*: every way to it."""
    known = {service["metadata"]["name"] for service in services}
    leading = sorted({route.service for route in found})
    lead = f"what leads to it: {', '.join(leading) or 'nothing'}"
    for name in listed:
        if name not in known:
            near = get_close_matches(name, leading, 1)
            raise ConfigurationError(
                f"services: namespace {ref.namespace} has no Service {name}",
                hint=f"did you mean {near[0]}?" if near else lead,
            )
        if name not in leading:
            raise ConfigurationError(f"services: service/{name} does not lead to {ref}", hint=lead)
        reasons = [route.left_alone for route in found if route.service == name]
        if all(reasons):
            raise ConfigurationError(
                f"services: service/{name} can't be led to the laptop: {reasons[0]}",
                hint="leave it out; `mode: replace` takes what comes by the pod's own port, too",
            )


def _route(service: Json, item: Json, template: Json, container: str, shared: bool) -> list[Route]:
    port = service_port(item)
    target: TargetPort = item.get("targetPort") or port.number
    owner, number = resolve_target(target, port.protocol, template["spec"], container)
    if number is None or owner != container:
        return []
    reason = _left_alone(service, port, target, shared)
    key = PortKey(number, port.protocol)
    return [Route(service["metadata"]["name"], port, target, key, reason)]


def _left_alone(service: Json, port: PortKey, target: TargetPort, shared: bool) -> str:
    if not port.led:
        return f"the agent does not lead {port.protocol}"
    if service["spec"].get("clusterIP") == "None":
        return "it is headless: its clients connect to the pod's own port"
    if isinstance(target, str):
        return ""
    return "it also selects pods of other workloads" if shared else ""


def resolve_target(target: TargetPort, protocol: str, spec: Json, container: str) -> tuple[str, int | None]:
    """The container of a pod (*spec*: its own or its template's) that *target* means, and the port.

    Of several containers that have a port of one name the first is meant, sidecars last.  A number leads to
    the pod, whoever listens there: to *container* where it, or nobody, declares it.  ('', None): a name that
    no port of that *protocol* has.
    Source: k8s.io/kubernetes pkg/api/v1/pod/util.go, FindPort
    """
    declared = [
        (one["name"], item.get("name"), key.number)
        for one in serving_containers(spec)
        for item in one.get("ports") or []
        if (key := container_port(item)).protocol == protocol
    ]
    if isinstance(target, str):
        return next(((owner, number) for owner, name, number in declared if name == target), ("", None))
    owners = [owner for owner, _, number in declared if number == target]
    return (container if container in owners or not owners else owners[0]), target


def plan_fronts(
    found: Collection[Route],
    template: Json,
    *,
    container: str,
    agent_port: int,
    first: int,
    front: bool = True,
) -> tuple[FrontPort, ...]:
    """A front, from *first* on, for each port to which a Service is led or may be by an edit; the others as
    they are.  By port.

    ConfigurationError where no number is left.
    """
    spec = next(item for item in template["spec"]["containers"] if item["name"] == container)
    names: dict[PortKey, str | None] = {}
    for item in spec.get("ports") or []:
        names[container_port(item)] = names.get(container_port(item)) or item.get("name")
    routed = {route.container_port for route in found}
    wanted = {it.container_port for it in found if front and (it.unlisted or not it.left_alone)}
    taken = {agent_port} | {key.number for key in (*pod_ports(template["spec"]), *routed)}
    free = (number for number in range(first, _HIGHEST + 1) if number not in taken)
    ports = sorted(key for key in {*names, *routed} if key.led)
    return tuple(
        FrontPort(
            key, _next(free, first) if key in wanted else None, names.get(key), _staying_names(found, key)
        )
        for key in ports
    )


def _staying_names(found: Collection[Route], port: PortKey) -> frozenset[str]:
    """Names of *port* by which a Service is led that is left alone."""
    alone = (it.target for it in found if it.left_alone and it.container_port == port)
    return frozenset(target for target in alone if isinstance(target, str))


def _next(free: Iterator[int], first: int) -> int:
    for number in free:
        return number
    raise ConfigurationError(
        f"there are not enough free ports from {first} on for the agent's fronts",
        hint="begin lower: `agent: {fronts: …}`",
    )


def plan_moves(found: Collection[Route], fronts: Collection[FrontPort]) -> tuple[PortMove, ...]:
    """The Services that must be patched; a name that does not stay has moved in the template already."""
    by_port = {item.port: item for item in fronts}
    moves = []
    for route in found:
        item = by_port.get(route.container_port)
        if item is None or item.front is None or route.left_alone:
            continue
        if isinstance(route.target, int) or route.target in item.staying:
            moves.append(PortMove(route.service, route.port, route.target, item.front))
    return tuple(sorted(moves, key=lambda move: (move.service, move.port)))

"""Which connections prove the route to a workload; what their outcomes mean is in ``verdict``.  Pure.

A proof is a connection from inside the cluster that an agent recognises (docs/architecture.md, Proof). What
can be seen without one is judged first: through a Service that selects other pods our bytes would reach a
stranger's application.  So nothing is tried unless every pod behind the Service's port has an agent of ours
that looks for it; where a Service leads to other workloads too, the workload's pods are tried by their own
addresses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from devcluster.config.model import render_address
from devcluster.plan.verdict import Trial, Try, Verdict, staying
from devcluster.rules.cluster.service_patch import noted_moves
from devcluster.rules.cluster.services import resolve_target, selects
from devcluster.rules.ports.ports import PortKey, service_port

Json = dict[str, Any]
_UNREADY = "the pod is not Ready"


@dataclass(frozen=True, slots=True)
class Behind:
    """A workload as it is now.  ``labels``: its pods'; ``ports``: those that lead to the laptop, fronts and,
    where the original is stopped, the application's own; ``stays``: (Service, port) that the original answers
    meanwhile, and why; ``pods``: of the whole namespace; ``own``: names of the workload's pods;
    ``agents``: why the agent of a pod is not ours, by the pod's name ('' if it is); ``expected``: (Service,
    port) that the agents led on at the time of ``up``; ``beside``: ports at which other containers of the
    pods listen and the application does not, by the number that a Service may say for each."""

    title: str
    container: str
    labels: Mapping[str, str]
    ports: frozenset[PortKey]
    services: tuple[Json, ...]
    pods: tuple[Json, ...]
    own: frozenset[str]
    agents: Mapping[str, str]
    expected: frozenset[tuple[str, PortKey]]
    beside: Mapping[int, int] = field(default_factory=dict)
    stays: Mapping[tuple[str, PortKey], str] = field(default_factory=dict)


def plan_proofs(behind: Behind) -> tuple[Trial | Verdict, ...]:
    """By Service and port: what is to be tried, or what is certain without trying."""
    found: dict[tuple[str, PortKey], Trial | Verdict] = {
        (name, port): _missing(behind, name, port) for name, port in behind.expected
    }
    for service in behind.services:
        if not selects(service, behind.labels):
            continue
        for item in service["spec"].get("ports") or []:
            key = (service["metadata"]["name"], service_port(item))
            found[key] = _plan(behind, service, item)
    return tuple(found[key] for key in sorted(found))


def _missing(behind: Behind, name: str, port: PortKey) -> Verdict:
    """Why a Service port that led here at `up` no longer does."""
    services = {item["metadata"]["name"]: item for item in behind.services}
    service = services.get(name)
    if service is None:
        reason = f"service/{name} is gone"
    elif not selects(service, behind.labels):
        terms = sorted((service["spec"].get("selector") or {}).items())
        selector = ",".join(f"{key}={value}" for key, value in terms) or "nothing"
        reason = f"service/{name} no longer selects the pods of {behind.title}, but {selector}"
    else:
        reason = f"service/{name} no longer has a port {port}"
    return Verdict(name, port, "broken", "service", reason)


def _plan(behind: Behind, service: Json, item: Json) -> Trial | Verdict:
    name, port = service["metadata"]["name"], service_port(item)

    def broken(hop: str, reason: str) -> Verdict:
        return Verdict(name, port, "broken", hop, reason)

    if (name, port) in behind.stays:
        return _stay(behind, service, item, behind.stays[name, port])
    if not port.led:
        return Verdict(name, port, "skipped", reason=f"{port.protocol} bypasses the agent")
    mine = [
        pod for pod in behind.pods if _name(pod) in behind.own and _stays(pod) and _selected(service, pod)
    ]
    if not mine:
        return broken("endpoint", f"service/{name} selects no pod of {behind.title}")
    open_to = [pod for pod in mine if _ready(pod) or service["spec"].get("publishNotReadyAddresses")]
    if not open_to:
        first = _name(mine[0])
        return broken(
            "endpoint", f"no pod is Ready; pod {first}: {behind.agents.get(first) or _why(mine[0])}"
        )
    target = item.get("targetPort") or port.number
    numbers = {}
    for pod in open_to:
        container, resolved = resolve_target(target, port.protocol, pod["spec"], behind.container)
        if resolved is None:
            return broken("service", f"its targetPort {target} names no port of the pods")
        if container != behind.container:
            reason = f"it leads to container {container} of the pods, which goes on in the cluster"
            return Verdict(name, port, "skipped", reason=reason)
        numbers[_name(pod)] = resolved
    return _lead(behind, service, port, open_to, numbers)


def _stay(behind: Behind, service: Json, item: Json, why: str) -> Verdict:
    """A Service that came after `up` may follow a name of the pod's to the agent all the same."""
    name, port = service["metadata"]["name"], service_port(item)
    target = item.get("targetPort") or port.number
    for pod in behind.pods:
        if _name(pod) in behind.own and _stays(pod) and _selected(service, pod):
            _, number = resolve_target(target, port.protocol, pod["spec"], behind.container)
            if number is not None and PortKey(number, port.protocol) in behind.ports:
                reason = f"it leads to the laptop ({why}); `devcluster up` gives it back"
                return Verdict(name, port, "broken", "service", reason)
    return staying(name, port, why)


def _lead(
    behind: Behind, service: Json, port: PortKey, pods: Sequence[Json], numbers: Mapping[str, int]
) -> Trial | Verdict:
    name = service["metadata"]["name"]
    unknown = sorted({PortKey(number, port.protocol) for number in numbers.values()} - behind.ports)
    if unknown:
        reason = f"its targetPort {unknown[0]} is not forwarded by the agent; `devcluster up` adds it"
        return Verdict(name, port, "broken", "service", reason)
    for pod in numbers:
        why = behind.agents.get(pod, "not held: it has no agent")
        if why:
            return Verdict(name, port, "broken", "agent", f"pod {pod}: {why}")
    others = [
        _name(pod)
        for pod in behind.pods
        if _name(pod) not in behind.own and _stays(pod) and _ready(pod) and _selected(service, pod)
    ]
    strangers = ", ".join(sorted(others))
    note = f"it also leads to {strangers}, which does not belong to {behind.title}" if others else ""
    if beside := sorted({behind.beside[it] for it in numbers.values() if it in behind.beside}):
        goes_on = "which goes on in the cluster"
        note = note or f"another container of the pods listens on port {beside[0]}, {goes_on}"
    if others and _moved(service, port):
        reason = f"{note} and has no agent; `devcluster up` gives the Service back"
        return Verdict(name, port, "broken", "service", reason)
    cluster_ip = service["spec"].get("clusterIP") or "None"
    tries = [Try(render_address(pod["status"]["podIP"], numbers[_name(pod)]), _name(pod)) for pod in pods]
    if cluster_ip != "None" and not others:
        tries = [Try(render_address(cluster_ip, port.number)), *(tries if len(tries) > 1 else ())]
    return Trial(name, port, tuple(tries), note)


def _moved(service: Json, port: PortKey) -> bool:
    """Whether *port* of *service* leads to the agent by a number of ours."""
    fronts = {move.front for move in noted_moves(service) if move.port == port}
    ports = service["spec"].get("ports") or []
    return any(service_port(item) == port and item.get("targetPort") in fronts for item in ports)


def _name(pod: Json) -> str:
    return str(pod["metadata"]["name"])


def _selected(service: Json, pod: Json) -> bool:
    return selects(service, pod["metadata"].get("labels") or {})


def _stays(pod: Json) -> bool:
    status = pod.get("status") or {}
    over = pod["metadata"].get("deletionTimestamp") or status.get("phase") in ("Succeeded", "Failed")
    return not over and bool(status.get("podIP"))


def _ready(pod: Json) -> bool:
    conditions = {one["type"]: one["status"] for one in (pod.get("status") or {}).get("conditions") or []}
    return conditions.get("Ready") == "True"


def _why(pod: Json) -> str:
    """Why a pod is not ready, as kubelet says."""
    conditions = {one["type"]: one for one in (pod.get("status") or {}).get("conditions") or []}
    return str((conditions.get("Ready") or {}).get("message") or _UNREADY)

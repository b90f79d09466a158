"""What somebody would want to know before ``up``: said before anything happens, with names.

A warning stops nothing.  Each says what will happen, to which object, and how to avoid it if that is
possible.  What may not be read gives no warning.  Values of the environment are never in one; names are.

The naive way, to warn of everything that may go wrong, teaches people to skip the list.  So a warning is for
what is certain, and each rule here looks for its cause: the autoscaler that points at this very workload, the
database that a variable names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Literal

from devcluster.rules.advice.controllers import find_managers
from devcluster.rules.advice.databases import find_databases
from devcluster.rules.advice.datagrams import Datagrams, find_datagrams
from devcluster.rules.advice.policies import Closed
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.services import routes, selects
from devcluster.rules.kinds.table import kind_of
from devcluster.rules.ports.ports import PortKey, pod_ports

Json = dict[str, Any]
Topic = Literal[
    "away",
    "mixed",
    "claim",
    "autoscaler",
    "data",
    "controller",
    "policy",
    "datagrams",
    "unreached",
    "port_map",
]

_LONGEST = 600.0  # seconds; longer than that is not a start, but a readiness that came back


@dataclass(frozen=True, slots=True)
class Caution:
    """One warning.  ``subject`` is for scripts, ``remedy`` is a way out or ''."""

    subject: Topic
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.text} ({self.remedy})" if self.remedy else self.text


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is around the workload.  ``autoscalers``: HPAs, VPAs and ScaledObjects of the namespace;
    ``closed``: what its NetworkPolicies shut out; ``fronts``: whether Services are led to the agent's ports;
    ``services_only``: nothing else reaches the laptop; ``moved``: names of Services that will be patched;
    ``rolls``: whether there will be a roll-out; ``template``: without the agent; ``written`` and
    ``excluded``: what the file says of the environment; ``tunnelled``: what serves reaches nothing but by a
    tunnel; ``claims``: that two of its pods must not write to at once; ``datagrams``: what becomes of ports
    that do not speak TCP; ``unreached``: the laptop is to get connections, and nothing leads there;
    ``mapped``: the pod's ports in `port_map`."""

    ref: WorkloadRef
    container: str
    object: Json = field(repr=False)
    template: Json = field(repr=False)
    pods: tuple[Json, ...] = field(default=(), repr=False)
    services: tuple[Json, ...] = field(default=(), repr=False)
    autoscalers: tuple[Json, ...] = field(default=(), repr=False)
    closed: tuple[Closed, ...] = ()
    fronts: bool = True
    services_only: bool = False
    moved: tuple[str, ...] = ()
    rolls: bool = True
    written: Mapping[str, str] = field(default_factory=dict, repr=False)
    excluded: tuple[str, ...] = ()
    tunnelled: bool = False
    claims: tuple[str, ...] = ()
    datagrams: Datagrams = "told"
    unreached: bool = False
    mapped: tuple[PortKey, ...] = ()

    @property
    def title(self) -> str:
        return str(self.ref)


def find_cautions(seen: Circumstances) -> tuple[Caution, ...]:
    """Every warning for this workload, the most surprising first."""
    rules: tuple[Callable[[Circumstances], list[Caution]], ...] = (
        _unreached,
        _away,
        _mixed,
        _claims,
        _controllers,
        _autoscalers,
        _policies,
        _datagrams,
        _port_map,
        _data,
    )
    return tuple(caution for rule in rules for caution in rule(seen))


def _unreached(seen: Circumstances) -> list[Caution]:
    if not seen.unreached:
        return []
    text = f"nothing will reach the laptop: no Service that can be led to it leads to {seen.title}"
    return [Caution("unreached", text, "`mode: replace` takes all that calls the pod itself, host ports too")]


def _away(seen: Circumstances) -> list[Caution]:
    why = kind_of(seen.ref).gap(seen.object, seen.claims)
    if not why or not seen.rolls:
        return []
    took = _start_time(seen.pods)
    last = f" ({took:.0f} s last time)" if took is not None else ""
    text = f"{seen.title} will be down while it restarts{last}, because {why}. `down` restarts it again."
    return [Caution("away", text)]


def _mixed(seen: Circumstances) -> list[Caution]:
    held = kind_of(seen.ref).mixed(seen.object) if seen.rolls else ""
    if not held:
        return []
    text = (
        f"{seen.title} still runs some pods with an older template ({held}). `up` moves all pods to the "
        "newest, and `down` leaves them there"
    )
    return [Caution("mixed", text)]


def _claims(seen: Circumstances) -> list[Caution]:
    """Said of each claim: what its next release will do is worth knowing, whatever we do."""
    beside = kind_of(seen.ref).beside(seen.object) if seen.rolls else ""
    return [
        Caution(
            "claim",
            f"{seen.title} mounts the ReadWriteOnce claim {claim} and rolls without stopping: by {beside} a "
            "new pod starts beside the old one, on the same files. `up` and `down` stop the old one first",
            "with `strategy: {type: Recreate}` in the manifest every roll-out does",
        )
        for claim in seen.claims
        if beside
    ]


def _port_map(seen: Circumstances) -> list[Caution]:
    """Who knows the Service's port alone writes that one."""
    ways = routes(seen.services, seen.template, container=seen.container)
    known = {way.container_port for way in ways} | pod_ports(seen.template["spec"])
    return [
        Caution(
            "port_map",
            f"port_map: {way.port} is the port of service/{way.service}, which leads to the pod's "
            f"{way.container_port}: nothing comes to the pod's {way.port}",
            f"write {way.container_port} instead of {way.port}",
        )
        for way in ways
        if way.port in seen.mapped and way.port not in known
    ]


def _start_time(pods: Sequence[Json]) -> float | None:
    """Seconds from a pod's creation to its readiness, of the quickest one that never restarted; at least 1,
    since both times are given in whole seconds."""
    found = []
    for pod in pods:
        status = pod.get("status") or {}
        ready = [one for one in status.get("conditions") or [] if one["type"] == "Ready"]
        restarts = sum(one.get("restartCount", 0) for one in status.get("containerStatuses") or [])
        made = (pod.get("metadata") or {}).get("creationTimestamp")
        if made and ready and ready[0]["status"] == "True" and not restarts:
            took = (_time(ready[0]["lastTransitionTime"]) - _time(made)).total_seconds()
            found.append(max(took, 1.0))
    return min((seconds for seconds in found if seconds <= _LONGEST), default=None)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _controllers(seen: Circumstances) -> list[Caution]:
    moved = [one for one in seen.services if one["metadata"]["name"] in seen.moved]
    objects = [(seen.title, seen.object)]
    objects += [(f"service/{one['metadata']['name']}", one) for one in moved]
    return [
        Caution("controller", f"{manager.name} manages {title}: {manager.effect}", manager.advice)
        for title, item in objects
        for manager in find_managers(item)
    ]


def _autoscalers(seen: Circumstances) -> list[Caution]:
    found = []
    for item in sorted(seen.autoscalers, key=lambda one: (one["kind"], one["metadata"]["name"])):
        spec = item.get("spec") or {}
        target = spec.get("scaleTargetRef") or spec.get("targetRef") or {}
        kind = str(target.get("kind") or "Deployment").lower()
        owners = item["metadata"].get("ownerReferences") or []
        behind = any(owner.get("kind") == "ScaledObject" for owner in owners)
        if (kind, target.get("name")) == (seen.ref.kind, seen.ref.name) and not behind:
            found.append(Caution("autoscaler", _scales(item, spec, seen.title)))
    return found


def _scales(item: Json, spec: Json, title: str) -> str:
    name = item["metadata"]["name"]
    idle = "its pods look idle while the laptop answers"
    match item["kind"]:
        case "HorizontalPodAutoscaler":
            least = spec.get("minReplicas", 1)
            return f"horizontalpodautoscaler/{name} may scale {title} down to {least}: {idle}"
        case "VerticalPodAutoscaler":
            mode = (spec.get("updatePolicy") or {}).get("updateMode", "Auto")
            does = "recommend too little for" if mode == "Off" else "restart pods to give less to"
            return f"verticalpodautoscaler/{name} may {does} {title}: {idle}"
        case _:
            least = spec.get("minReplicaCount", 0)
            end = ", which ends the attachment" if least == 0 else ""
            return f"scaledobject/{name} (KEDA) may scale {title} down to {least}{end}: {idle}"


def _policies(seen: Circumstances) -> list[Caution]:
    return [_closed(seen, name, port, front) for name, port, front in seen.closed]


def _closed(seen: Circumstances, name: str, port: PortKey, front: int) -> Caution:
    admits = f"networkpolicy/{name} admits port {port} but not {front}, where the agent takes"
    named = "use the port's name instead of its number in the policy"
    if not seen.fronts:
        return Caution(
            "policy",
            f"networkpolicy/{name} admits port {port} but not {front}, so connections are taken at port "
            f"{port} itself (take: direct): some may be refused while the original stops or starts",
            f"{named}, or write `take: front`",
        )
    return Caution(
        "policy",
        f"{admits} the connections of its Services: a cluster that enforces policies will refuse them",
        f"{named}; `mode: intercept` can't take them at port {port} itself"
        if seen.services_only
        else f"leave `take: front` out, or {named}",
    )


def _datagrams(seen: Circumstances) -> list[Caution]:
    """The original stops, and only TCP is brought to the laptop."""
    if seen.datagrams != "told":
        return []
    names = find_datagrams(seen.services, seen.template, seen.container)
    return [Caution("datagrams", f"nobody will answer {name}: only TCP reaches the laptop") for name in names]


def _data(seen: Circumstances) -> list[Caution]:
    if seen.tunnelled:  # whoever writes a tunnel to a database knows of it
        return []
    target = next(one for one in seen.template["spec"]["containers"] if one["name"] == seen.container)
    values = {one["name"]: str(one.get("value") or "") for one in target.get("env") or []}
    kept = {name: value for name, value in values.items() if not _excluded(name, seen.excluded)}
    others = [one for one in seen.services if not selects(one, _labels(seen))]
    namespace = seen.object["metadata"].get("namespace", "")
    return [
        Caution("data", f"the local container uses the real database service/{name} (see {', '.join(keys)})")
        for name, keys in find_databases({**kept, **seen.written}, others, namespace)
    ]


def _excluded(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _labels(seen: Circumstances) -> dict[str, str]:
    return (seen.template.get("metadata") or {}).get("labels") or {}

"""What somebody would want to have known before ``up``: said by name, before anything happens.

A warning stops nothing.  Each says what will happen, to which object, and, where there is one, the way to
avoid it.  What can't be read is no warning: `plan` has one note, and `doctor` one line, for all that a Role
does not show (``glimpses``).  Values of the environment never stand in one; names do.

The naive way, to warn of everything that may go wrong, teaches people to skip the list.  So each rule here
looks for its cause: the database that a variable names, the autoscaler that points at this very workload.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from devcluster.rules.controllers import find_managers
from devcluster.rules.databases import engine_of, find_doubts, find_leads, read_variables
from devcluster.rules.policies import find_closed
from devcluster.rules.services import FrontPort, selects

Json = dict[str, Any]
Subject = Literal["away", "autoscaler", "history", "data", "controller", "policy", "datagrams"]

_LONGEST = 600.0  # seconds; a start that took longer was not a start, but a readiness that came back
_LISTED = 5


@dataclass(frozen=True, slots=True)
class Caution:
    """One warning.  ``subject`` is for scripts, ``remedy`` a way out or ''."""

    subject: Subject
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.text} ({self.remedy})" if self.remedy else self.text


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What stands around the workload.  ``autoscalers``: HPAs, VPAs and ScaledObjects of the namespace;
    ``policies``: its NetworkPolicies; ``moved``: names of Services that will be patched; ``rolls``: whether
    there will be a roll-out; ``template``: without the agent; ``written`` and ``excluded``: what the file
    says of the environment."""

    kind: str
    name: str
    container: str
    object: Json = field(repr=False)
    template: Json = field(repr=False)
    pods: tuple[Json, ...] = field(default=(), repr=False)
    services: tuple[Json, ...] = field(default=(), repr=False)
    autoscalers: tuple[Json, ...] = field(default=(), repr=False)
    policies: tuple[Json, ...] = field(default=(), repr=False)
    fronts: tuple[FrontPort, ...] = ()
    moved: tuple[str, ...] = ()
    rolls: bool = True
    written: Mapping[str, str] = field(default_factory=dict, repr=False)
    excluded: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return f"{self.kind}/{self.name}"


def find_cautions(seen: Circumstances) -> tuple[Caution, ...]:
    """Every warning for this workload, the most surprising first."""
    rules: tuple[Callable[[Circumstances], list[Caution]], ...] = (
        _away,
        _controllers,
        _autoscalers,
        _history,
        _policies,
        _datagrams,
        _data,
    )
    return tuple(caution for rule in rules for caution in rule(seen))


def _away(seen: Circumstances) -> list[Caution]:
    why = _stops_first(seen.object["spec"])
    if not why or not seen.rolls:
        return []
    took = _start_time(seen.pods)
    last = f", {took:.0f} s the last time" if took is not None else ""
    text = (
        f"{seen.title} is away for about as long as its start takes{last}: {why}, so its pod stops before "
        "the one with the agent starts; the same at `down`"
    )
    return [Caution("away", text)]


def _stops_first(spec: Json) -> str:
    """Why no pod serves during a roll-out; '' where one does."""
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return "its strategy is Recreate"
    rolling = strategy.get("rollingUpdate") or {}
    replicas = int(spec.get("replicas", 1))
    surge = _share(rolling.get("maxSurge", "25%"), replicas, up=True)
    gone = _share(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    gone = gone or (surge == 0)  # or it could not go on at all: the controller's rule
    return "its maxUnavailable allows all pods to go" if gone >= replicas and surge == 0 else ""


def _share(value: int | str, of: int, *, up: bool) -> int:
    """An absolute number or a percentage, rounded as the controller does."""
    if isinstance(value, int) or not value.endswith("%"):
        return int(value)
    part = int(value[:-1]) * of
    return -(-part // 100) if up else part // 100


def _start_time(pods: Sequence[Json]) -> float | None:
    """Seconds from a pod's creation to its readiness, of the quickest one that never started anew;
    at least 1, since both times are told in whole seconds."""
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
    found = []
    for title, item in objects:
        for manager in find_managers(item):
            remedy = f"pause it: `{manager.remedy}`" if manager.remedy else ""
            found.append(Caution("controller", f"{title} {manager}", remedy))
    return found


def _autoscalers(seen: Circumstances) -> list[Caution]:
    found = []
    for item in sorted(seen.autoscalers, key=lambda one: (one["kind"], one["metadata"]["name"])):
        spec = item.get("spec") or {}
        target = spec.get("scaleTargetRef") or spec.get("targetRef") or {}
        kind = str(target.get("kind") or "Deployment").lower()
        owners = item["metadata"].get("ownerReferences") or []
        behind = any(owner.get("kind") == "ScaledObject" for owner in owners)
        if (kind, target.get("name")) == (seen.kind, seen.name) and not behind:
            found.append(Caution("autoscaler", _scales(item, spec, seen.title)))
    return found


def _scales(item: Json, spec: Json, title: str) -> str:
    name = item["metadata"]["name"]
    idle = "while the laptop answers its pods are idle"
    match item["kind"]:
        case "HorizontalPodAutoscaler":
            least = spec.get("minReplicas", 1)
            return f"horizontalpodautoscaler/{name} watches {title}: {idle}, and it may scale down to {least}"
        case "VerticalPodAutoscaler":
            mode = (spec.get("updatePolicy") or {}).get("updateMode", "Auto")
            does = "it will learn too little" if mode == "Off" else "it may evict them to give them less"
            return f"verticalpodautoscaler/{name} watches {title}: {idle}, and {does}"
        case _:
            least = spec.get("minReplicaCount", 0)
            end = ", which ends the attachment" if least == 0 else ""
            return f"scaledobject/{name} (KEDA) watches {title}: {idle}, and it may scale to {least}{end}"


def _history(seen: Circumstances) -> list[Caution]:
    if not seen.rolls or seen.object["spec"].get("revisionHistoryLimit", 10) != 0:
        return []
    text = (
        f"{seen.title} keeps no history (revisionHistoryLimit 0): `kubectl rollout undo` leads nowhere, so "
        "only `down` puts the template back; the limit is 10 meanwhile"
    )
    return [Caution("history", text)]


def _policies(seen: Circumstances) -> list[Caution]:
    return [
        Caution(
            "policy",
            f"networkpolicy/{name} lets port {port} in and not {front}, where the agent takes its Services' "
            "connections: where the cluster enforces it they are refused",
            "write `take: direct`, or name the port instead of its number in the policy",
        )
        for name, port, front in find_closed(seen.policies, seen.template, seen.fronts)
    ]


def _datagrams(seen: Circumstances) -> list[Caution]:
    """The original stops, and only TCP is brought to the local container."""
    return [
        Caution(
            "datagrams",
            f"service/{one['metadata']['name']} port {port['port']}/{port['protocol']} is answered by nobody "
            "meanwhile: only TCP reaches the local container",
        )
        for one in sorted(seen.services, key=lambda item: str(item["metadata"]["name"]))
        if selects(one, _labels(seen))
        for port in one["spec"].get("ports") or []
        if port.get("protocol", "TCP") != "TCP"
    ]


def _data(seen: Circumstances) -> list[Caution]:
    """Volumes are copies; what is reached by the network is the real thing.  ``databases`` says the rules."""
    target = next(one for one in seen.template["spec"]["containers"] if one["name"] == seen.container)
    variables = read_variables(target, seen.written, seen.excluded)
    engines = {str(one["metadata"]["name"]): engine_of(one) for one in seen.services}
    own = [str(one["metadata"]["name"]) for one in seen.services if selects(one, _labels(seen))]
    leads = find_leads(variables, engines, own, seen.object["metadata"].get("namespace", ""))
    named = {lead.service: lead.engine for lead in leads if lead.service}
    texts = []
    for name, engine in sorted(named.items()):
        by = ", ".join(lead.variable for lead in leads if lead.service == name)
        texts.append(f"service/{name} ({engine}, named by {by})")
    unnamed: dict[tuple[str, ...], list[str]] = {}
    for name, engine in sorted(engines.items()):
        doubts = find_doubts(variables, leads, name, engine)
        if engine and name not in (*named, *own) and (doubts or not leads):
            unnamed.setdefault(doubts, []).append(name)
    for doubts, names in unnamed.items():
        by = f", perhaps named by {', '.join(doubts)}" if doubts else ""
        texts.append(f"{_listed(names)} ({', '.join(sorted({engines[name] for name in names}))}{by})")
    elsewhere = {lead.variable for lead in leads if lead.elsewhere}.difference(*unnamed)
    texts += [f"the database of {key}" for key in sorted(elsewhere)]
    return [Caution("data", f"what the local container writes to {text} is real") for text in texts]


def _listed(services: Sequence[str]) -> str:
    more = f" and {len(services) - _LISTED} more" if len(services) > _LISTED else ""
    return ", ".join(f"service/{name}" for name in services[:_LISTED]) + more


def _labels(seen: Circumstances) -> dict[str, str]:
    return (seen.template.get("metadata") or {}).get("labels") or {}

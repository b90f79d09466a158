"""NetworkPolicies that admit the application's port, but not the agent's.

Traffic enters a pod by the agent's front port, which is in no policy.  A policy with the port's *name* is
fine: the name moves with the port.  One with its *number* shuts the front out.  Whether the cluster enforces
it can't be seen from outside; where connections are taken at the application's own port it does not matter.
So that is the default there (``take: direct``), and where it can't be, a warning.

Policies are additive: a port is open when any rule of any policy that selects the pod lets it in.

Source: https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from devcluster.config.model import Mode, Take
from devcluster.config.read.modes import allows_take
from devcluster.rules.cluster.services import FrontPort
from devcluster.rules.ports.ports import PortKey

Json = dict[str, Any]


Closed = tuple[str, PortKey, int]
"""A policy, the application's port, and the front that it shuts out."""


def choose_take(written: Take | None, mode: Mode, closed: Sequence[Closed]) -> Take:
    """How connections are taken.  *written*: what the file says; *closed*: what ``find_closed`` found.
    Beside an original that runs on (`intercept`) its own ports are not free."""
    if written is not None:
        return written
    return "direct" if closed and allows_take(mode, "direct") else "front"


def find_closed(policies: Sequence[Json], template: Json, fronts: Sequence[FrontPort]) -> tuple[Closed, ...]:
    """By name and port."""
    labels = (template.get("metadata") or {}).get("labels") or {}
    mine = [one for one in policies if _isolates(one["spec"]) and _selected(one["spec"], labels)]
    found = set()
    for item in fronts:
        if item.front is None:
            continue
        front = PortKey(item.front, item.port.protocol)
        if any(_lets(one, front, item.name) for one in mine):
            continue
        found |= {(one["metadata"]["name"], item.port, item.front) for one in mine if _lets(one, item.port)}
    return tuple(sorted(found))


def _isolates(spec: Json) -> bool:
    return "Ingress" in (spec.get("policyTypes") or ["Ingress"])


def _selected(spec: Json, labels: Mapping[str, str]) -> bool:
    selector = spec.get("podSelector") or {}
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_matches(term, labels) for term in selector.get("matchExpressions") or [])


def _matches(term: Json, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(term["key"]), term.get("values") or []
    match term["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case _:
            return value is None


def _lets(policy: Json, port: PortKey, name: str | None = None) -> bool:
    """Whether some rule lets *port* in (from anybody at all), by number, range or name."""
    for rule in policy["spec"].get("ingress") or []:
        ports = rule.get("ports")
        if not ports or any(_means(one, port, name) for one in ports):
            return True
    return False


def _means(item: Json, port: PortKey, name: str | None) -> bool:
    if (item.get("protocol") or "TCP") != port.protocol:
        return False
    said = item.get("port")
    if said is None:
        return True
    if isinstance(said, str):
        return said == name
    return int(said) <= port.number <= int(item.get("endPort") or said)

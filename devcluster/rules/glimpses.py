"""What is listed where it may be, and goes unsaid where it may not.

The least Role is for what `up` and `down` can't do without.  Whatever only makes a warning possible is not in
it, so under this Role there are no such warnings; and who hears of none takes it that there is no cause.  So
one line says what was not looked at.  It stands with the good ones: nothing has to be done about it.

The naive way, a warning for each kind that can't be read, warns whoever does as told.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Glimpse:
    """``kind`` as ``edge.kube`` knows it; ``tells``: what nobody hears of without it; ``optional``: of a
    controller that the cluster need not have."""

    kind: str
    group: str
    resource: str
    tells: str
    optional: bool = False

    def __str__(self) -> str:
        return f"{self.resource}.{self.group}"


_SCALES = "an autoscaler that points at the workload"
_CLOSES = "a NetworkPolicy that closes the agent's ports"
_SHARES = "a Service that also selects a workload which has no pod now"

AUTOSCALERS = (
    Glimpse("horizontalpodautoscaler", "autoscaling", "horizontalpodautoscalers", _SCALES),
    Glimpse("verticalpodautoscaler", "autoscaling.k8s.io", "verticalpodautoscalers", _SCALES, optional=True),
    Glimpse("scaledobject", "keda.sh", "scaledobjects", _SCALES, optional=True),
)
POLICIES = Glimpse("networkpolicy", "networking.k8s.io", "networkpolicies", _CLOSES)
GLIMPSES = (
    *AUTOSCALERS,
    POLICIES,
    Glimpse("statefulset", "apps", "statefulsets", _SHARES),
    Glimpse("daemonset", "apps", "daemonsets", _SHARES),
    Glimpse("job", "batch", "jobs", _SHARES),
    Glimpse("cronjob", "batch", "cronjobs", _SHARES),
)


def glimpses_of(kinds: Collection[str]) -> tuple[Glimpse, ...]:
    """Those of *kinds*, in the order of GLIMPSES; what the Role needs is no glimpse."""
    return tuple(it for it in GLIMPSES if it.kind in kinds)


def render_unread(unread: Collection[Glimpse], namespace: str) -> str:
    """One line for all that can't be listed; '' where there is none."""
    if not unread:
        return ""
    causes = ", ".join(dict.fromkeys(it.tells for it in unread))
    names = ", ".join(map(str, unread))
    return f"cannot list {names} in namespace {namespace}: not needed, but nobody warns of {causes}"

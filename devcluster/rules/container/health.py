"""What to wait for until a local container counts as healthy.

The pod's readiness probe (else its startup probe), asked through the gateway, as kubelet would ask it; an
exec probe becomes Docker's own healthcheck, since only Docker can run something inside.  Without a probe, one
of its TCP ports must accept: declared, led to by a Service, or heard in the pod.  Docker probes for the first
time after one interval, so the interval is kept short and the threshold is raised to match.

Once healthy, it is probed with the readiness probe, else the liveness probe.  It has failed after as many
failures in a row as the probe says, but never within a few seconds: kubelet sends traffic again to a pod that
was slow for a moment, but nobody sends any to a laptop that has handed back.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from devcluster.config.model import Healthcheck, Workload
from devcluster.rules.container.pod_times import probe_allowance
from devcluster.rules.ports.ports import PortKey, declared_ports, numbered

Json = dict[str, Any]

_LONGEST = 2.0
_GUESS = 5.0  # seconds for a port on which nobody may ever listen; the agent waits as long
_PATIENCE = 5.0  # seconds of failures, at least


@dataclass(frozen=True, slots=True)
class HealthPlan:
    """``probe``: a v1.Probe with numbers for ports; ``docker``: the block that Docker runs; ``ports``: TCP
    ports of which one must accept, in ``patience`` seconds; ``lasting``: the probe that is asked on, each
    ``period`` seconds, until ``failures`` in a row."""

    kind: Literal["probe", "docker", "ports", "none"]
    probe: Json | None = None
    docker: Healthcheck | None = None
    ports: tuple[int, ...] = ()
    patience: float = 30.0
    lasting: Json | None = None
    period: float = 10.0
    failures: int = 3


def healthcheck_source(
    container: Json,
    workload: Workload,
    port_map: Mapping[PortKey, int] | None = None,
    served: Sequence[PortKey] = (),
) -> HealthPlan:
    """*container* as it was before the agent; *port_map*: where its ports are in the local container;
    *served*: those to which Services lead, declared or not."""
    mapped = port_map or {}
    match workload.healthcheck.source:
        case "off":
            return HealthPlan("none")
        case "block":
            return HealthPlan("docker", docker=workload.healthcheck)
    probe = container.get("readinessProbe") or container.get("startupProbe")
    if probe and "exec" in probe:
        return HealthPlan("docker", docker=_exec(probe, container.get("startupProbe")))
    if probe:
        return _lasting(HealthPlan("probe", probe=_mapped(probe, container, mapped)), container, mapped)
    known = dict.fromkeys((*declared_ports(container), *served))
    ports = tuple(mapped.get(key, key.number) for key in known if key.led)
    return _lasting(HealthPlan("ports", ports=ports), container, mapped)


def narrow(plan: HealthPlan, heard: Collection[int]) -> HealthPlan:
    """Of the known ports those on which the original listens (*heard*); all of these where none is known.
    Where it listens on none that is known, or does not yet, nobody waits for long: a declared port is no
    promise."""
    if plan.kind != "ports":
        return plan
    if not plan.ports:
        return replace(plan, ports=tuple(sorted(heard)), patience=_GUESS)
    ports = tuple(port for port in plan.ports if port in heard)
    return replace(plan, ports=ports) if ports else replace(plan, patience=_GUESS)


def _lasting(plan: HealthPlan, container: Json, mapped: Mapping[PortKey, int]) -> HealthPlan:
    probe = container.get("readinessProbe") or container.get("livenessProbe")
    if not probe or "exec" in probe:
        return plan
    period = float(probe.get("periodSeconds") or 10)
    failures = max(probe.get("failureThreshold") or 3, math.ceil(_PATIENCE / period))
    return replace(plan, lasting=_mapped(probe, container, mapped), period=period, failures=failures)


def _exec(probe: Json, startup: Json | None) -> Healthcheck:
    period = float(probe.get("periodSeconds") or 10)
    interval = min(period, _LONGEST)
    return Healthcheck(
        source="block",
        test=("CMD", *(probe["exec"].get("command") or ())),
        interval=interval,
        timeout=float(probe.get("timeoutSeconds") or 1),
        retries=math.ceil((probe.get("failureThreshold") or 3) * period / interval),
        start_period=float(probe.get("initialDelaySeconds") or 0) + probe_allowance(startup),
    )


def _mapped(probe: Json, container: Json, mapped: Mapping[PortKey, int]) -> Json:
    """With the local container's numbers in place of the pod's names and numbers."""
    result = numbered(probe, container)
    for handler in ("httpGet", "tcpSocket", "grpc"):
        if handler in result:
            port = result[handler]["port"]
            result[handler]["port"] = mapped.get(PortKey(port), port)
    return result

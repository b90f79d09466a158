"""How long a workload itself says that its pods may take to start and to stop.  Pure.

A time-out of five minutes is right for most and wrong for who says otherwise: an application whose startup
probe allows ten minutes is not broken after five.  So the workload's own figures bound what is waited for,
unless the user says `--timeout`.

Sources: https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/,
https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#progress-deadline-seconds
"""

from __future__ import annotations

from typing import Any

from devcluster.rules.agent.agent_state import AgentState

Json = dict[str, Any]

_DEADLINE = 600  # of every Deployment that says none
_GRACE = 30.0  # seconds; of every pod that says none
_ELSE = 120.0  # seconds for what nobody gives a figure for: a node, an image, init containers


def probe_allowance(probe: Json | None) -> float:
    """The seconds that a startup probe gives the application to come up."""
    if not probe:
        return 0.0
    delay = probe.get("initialDelaySeconds") or 0
    return float(delay + (probe.get("periodSeconds") or 10) * (probe.get("failureThreshold") or 3))


def stop_time(pod_spec: Json) -> float:
    """Seconds that a pod has to end."""
    seconds = pod_spec.get("terminationGracePeriodSeconds")
    return _GRACE if seconds is None else float(seconds)


def start_time(container: Json) -> tuple[float, str]:
    """Seconds that *container* has to start by its own probes, and which of them says so; (0, '') where
    none does."""
    if startup := probe_allowance(container.get("startupProbe")):
        return startup, "startup probe"
    delay = float((container.get("readinessProbe") or {}).get("initialDelaySeconds") or 0)
    return (delay, "readiness probe's initial delay") if delay else (0.0, "")


def whole_time(item: Json, pod_spec: Json) -> float:
    """Seconds in which a workload has stopped its pods and started new ones, by its own figures."""
    containers = [*(pod_spec.get("initContainers") or []), *pod_spec["containers"]]
    start = max(start_time(one)[0] for one in containers)
    deadline = float(item["spec"].get("progressDeadlineSeconds") or _DEADLINE)
    return stop_time(pod_spec) + max(start, deadline if deadline != _DEADLINE else 0.0) + _ELSE


def render_wait(state: AgentState, container: Json, pod_spec: Json) -> str:
    """What the application of a pod is waited for, and how long that may take, by its agent's *state*; ''
    where it is waited for nothing."""
    reason = f": {state.reason}" if state.reason else ""
    match state.child:
        case "stopping":
            return f"the application stops, for which it has {stop_time(pod_spec):.0f} s"
        case "starting":
            seconds, probe = start_time(container)
            allowed = f", for which its {probe} allows {seconds:.0f} s" if seconds else ""
            return f"the application starts{allowed}{reason}"
        case "running" if state.route != "child":
            return f"the application does not accept connections yet{reason}"
        case "running":
            return f"requests under way may take {max(stop_time(pod_spec), _GRACE):.0f} s to end"
    return ""

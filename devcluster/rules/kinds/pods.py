"""What a pod's status says while a roll-out runs, whatever made the pod.

kubelet reports what is wrong long before a time-out would: a container that can't be created, or that crashes
again and again.  Only its reasons, codes and fields count; its prose is for people.

Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from devcluster.rules.cluster.template import is_wrapped
from devcluster.rules.container.restarts import NOT_STARTED
from devcluster.rules.kinds.kind import Sight, Stuck

Json = dict[str, Any]

_AT_ONCE = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
    "StartError",
}
_RESTARTS = 2  # an application may end once or twice, waiting for its database


def staying(pods: Iterable[Json]) -> list[Json]:
    """The pods that have not ended and are not being deleted."""
    return [pod for pod in pods if not ends(pod) and _status(pod).get("phase") not in ("Failed", "Succeeded")]


def of_side(pods: Iterable[Json], wrapped: bool) -> list[Json]:
    """The pods with an agent, or those without one."""
    return [pod for pod in pods if is_wrapped(pod) == wrapped]


def ends(pod: Json) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def runs(pod: Json) -> bool:
    return _status(pod).get("phase") == "Running"


def is_ready(pod: Json) -> bool:
    return _condition(pod, "Ready").get("status") == "True"


def is_starting(pod: Json) -> bool:
    """Whether a startup probe of it has not succeeded yet, and no container of it has ended."""
    found = _status(pod).get("containerStatuses") or []
    first = all("running" in (one.get("state") or {}) and not one.get("restartCount") for one in found)
    return first and any(one.get("started") is False for one in found)


def is_seen(item: Json) -> bool:
    """Whether the status of *item* is about its newest spec."""
    observed = (item.get("status") or {}).get("observedGeneration", 0)
    return bool(observed >= item["metadata"]["generation"])


def find_failed(sight: Sight, new: Iterable[Json]) -> Stuck | None:
    """The first of the *new* pods that will never be ready; None if all still may."""
    for pod in new:
        if reason := "" if ends(pod) else pod_failure(pod, sight.container, patient=not sight.ready):
            return Stuck(reason, pod["metadata"]["name"])
    return None


def tell_waiting(sight: Sight, new: Collection[Json], old: Collection[Json], wanted: int) -> str:
    """What a roll-out waits for, as a sentence; *new* and *old*: of the pods that stay."""
    parts = [f"{len(new)} of {wanted} new pods are there"] if len(new) < wanted else []
    waits = [(pod["metadata"]["name"], pod_wait(pod)) for pod in new]
    parts += [f"pod {name} {wait}" for name, wait in waits if wait]
    leaving = sorted(pod["metadata"]["name"] for pod in (*old, *filter(ends, sight.pods)))
    if leaving and not parts:
        return f"the old pods are still there ({', '.join(leaving)})"
    if (least := sight.object["spec"].get("minReadySeconds")) and not parts:
        return f"new pods must have been ready for {least} s (minReadySeconds)"
    return "; ".join(parts) or "its controller has not counted the new pods yet"


def share(value: int | str, of: int, *, up: bool) -> int:
    """An absolute number or a percentage, rounded as the controllers do."""
    if isinstance(value, int) or not value.endswith("%"):
        return int(value)
    part = int(value[:-1]) * of
    return -(-part // 100) if up else part // 100


def pod_failure(pod: Json, container: str, *, patient: bool) -> str:
    """Why the pod will never work; '' if it still may.  *patient*: the application may crash again and again,
    because it did so before us; the agent may not."""
    for item in _containers(pod):
        state = item.get("state") or {}
        waiting = state.get("waiting") or {}
        reason = waiting.get("reason", "")
        if reason in _AT_ONCE:
            return f"{reason}: {waiting.get('message', '')}".rstrip(": ")
        ended = last_end(item)
        start = ended.get("reason") in _AT_ONCE
        missing = ended.get("exitCode") in NOT_STARTED
        again = item["name"] == container and item.get("restartCount", 0) >= (1 if missing else _RESTARTS)
        if start or (ended and again and (missing or not patient)):
            text = ended.get("message", "")
            code = f"exit code {ended.get('exitCode')}"
            return f"{reason or ended.get('reason')}, {code}{': ' if text else ''}{text}"
    return ""


def last_end(status: Json) -> Json:
    """How a container ended last (ContainerStateTerminated), by its *status*; empty where it never did."""
    last = (status.get("state") or {}).get("terminated") or (status.get("lastState") or {}).get("terminated")
    return last or {}


def pod_wait(pod: Json) -> str:
    """What the pod is waiting for, as a clause; '' for nothing."""
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return f"has no node: {scheduled.get('message', '')}".rstrip(": ")
    for item in _status(pod).get("initContainerStatuses") or []:
        if not item.get("ready") and not item.get("started"):
            return f"waits for its init container {item['name']}{_words(item)}"
    for item in _status(pod).get("containerStatuses") or []:
        if "running" not in (item.get("state") or {}):
            return f"waits for its container {item['name']} to start{_words(item)}"
    unready = [item["name"] for item in _status(pod).get("containerStatuses") or [] if not item.get("ready")]
    if unready:
        return f"runs, but its container {' and '.join(unready)} is not ready"
    if is_ready(pod):
        return ""
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or []]
    closed = [gate for gate in gates if _condition(pod, gate).get("status") != "True"]
    return f"waits for its readiness gate {closed[0]}" if closed else "is not ready yet"


def _words(item: Json) -> str:
    """Why a container does not run, in kubelet's words."""
    state = item.get("state") or {}
    told = state.get("waiting") or state.get("terminated") or {}
    found = [str(told[key]) for key in ("reason", "message") if told.get(key)]
    return f" ({': '.join(found)})" if found else ""


def _containers(pod: Json) -> list[Json]:
    status = _status(pod)
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _status(pod: Json) -> Json:
    return pod.get("status") or {}


def _condition(pod: Json, name: str) -> Json:
    found = [item for item in _status(pod).get("conditions") or [] if item["type"] == name]
    return found[0] if found else {}

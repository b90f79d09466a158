"""What a pod says of itself while a roll-out is waited for, whatever made it.

kubelet says what is wrong long before a time-out would: a container that can't be created, one that ends
again and again.  Only its reasons, codes and fields count; its prose is for people.

Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from devcluster.rules.cluster.template import is_wrapped

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
_NOT_STARTED = (126, 127)  # what boot and the agent end with where the command can't be started
_RESTARTS = 2  # an application may end once or twice, waiting for its database


def staying(pods: Iterable[Json]) -> list[Json]:
    """Those that have not ended and were not told to."""
    return [pod for pod in pods if not ends(pod) and _status(pod).get("phase") not in ("Failed", "Succeeded")]


def of_side(pods: Iterable[Json], wrapped: bool) -> list[Json]:
    """Those with an agent, or those without one."""
    return [pod for pod in pods if is_wrapped(pod) == wrapped]


def ends(pod: Json) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def runs(pod: Json) -> bool:
    return _status(pod).get("phase") == "Running"


def is_ready(pod: Json) -> bool:
    return _condition(pod, "Ready").get("status") == "True"


def pod_failure(pod: Json, container: str, *, patient: bool) -> str:
    """Why it will never be what it should; '' where it may.  *patient*: the application may end again and
    again, since it did so before us; the agent may not."""
    for item in _containers(pod):
        state = item.get("state") or {}
        waiting = state.get("waiting") or {}
        reason = waiting.get("reason", "")
        if reason in _AT_ONCE:
            return f"{reason}: {waiting.get('message', '')}".rstrip(": ")
        ended = state.get("terminated") or (item.get("lastState") or {}).get("terminated") or {}
        start = ended.get("reason") in _AT_ONCE
        missing = ended.get("exitCode") in _NOT_STARTED
        again = item["name"] == container and item.get("restartCount", 0) >= (1 if missing else _RESTARTS)
        if start or (ended and again and (missing or not patient)):
            text = ended.get("message", "")
            code = f"exit code {ended.get('exitCode')}"
            return f"{reason or ended.get('reason')}, {code}{': ' if text else ''}{text}"
    return ""


def pod_wait(pod: Json) -> str:
    """What it is waited for, '' where nothing is: a clause about it."""
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
    """Why a container does not run, as kubelet says it."""
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

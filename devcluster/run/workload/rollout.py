"""Waiting for a Deployment's roll-out, and knowing early that it will not come.

kubelet and the controller say what is wrong long before a time-out would: a container that can't be
created, one that ends again and again, a quota that refuses the pod.  So the Deployment, its ReplicaSets'
conditions and its pods are watched together and judged after each change.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from devcluster.edge.background import running
from devcluster.edge.kube.cluster import Cluster, Json
from devcluster.edge.kube.workload import render_selector
from devcluster.errors import DevclusterError, FailedError
from devcluster.rules.controllers import last_writer, render_pause
from devcluster.rules.drift import template_drift
from devcluster.rules.identity import WorkloadRef
from devcluster.rules.marks import Originals
from devcluster.rules.memory import MEMORY
from devcluster.rules.template import ROOT, is_wrapped
from devcluster.run.turn import Turn

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
_FOREIGN = "exec format error"  # what runtimes say of a program for another machine
_RESTARTS = 2  # an application may end once or twice, waiting for its database


class RolloutError(FailedError):
    """The roll-out will not come to its end; the pod's reason is in the message."""


@dataclass(frozen=True, slots=True)
class Written:
    """What `up` wrote.  ``generation``: the workload's since then; one below it is from before.  ``whole``:
    all of it was written just now, so that a part that is gone has just been taken back, too."""

    originals: Originals = field(repr=False)
    generation: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Sight:
    """The Deployment and its pods at one moment."""

    deployment: Json = field(repr=False)
    pods: tuple[Json, ...] = field(repr=False)


async def await_rollout(
    cluster: Cluster,
    ref: WorkloadRef,
    *,
    container: str,
    wrapped: bool,
    ready: bool,
    turn: Turn,
    written: Written | None = None,
) -> tuple[Json, ...]:
    """The pods, when every one is of the newest template; with *ready* also available.

    *wrapped*: which pods are the new ones, those with an agent or those without.  *written*: what must stay.
    RolloutError where it fails or takes longer than *turn* may.
    """
    last: Sight | None = None
    stale: tuple[Json, ...] | None = None
    try:
        async with turn.deadline.bound():
            states = _sights(cluster, ref)
            async with contextlib.aclosing(states):
                async for last in states:
                    if written is not None and (reverted := find_revert(last.deployment, written)):
                        raise RolloutError(reverted, hint=render_pause(last.deployment))
                    if stale is None:
                        stale = _conditions(last)
                    if _done(last, wrapped, ready):
                        return tuple(pod for pod in last.pods if is_wrapped(pod) == wrapped)
                    failed = find_failure(last, container, wrapped, patient=not ready, stale=stale)
                    if failed is not None:
                        raise await _explained(cluster, ref.namespace, container, *failed)
    except TimeoutError as error:
        seen = tell_progress(last, wrapped) if last else "nothing was seen"
        span = f"{turn.deadline.span:.0f} s"
        raise RolloutError(
            f"{ref.place} is not rolled out after {span}: {seen}",
            hint=f"kubectl describe pods -n {ref.namespace}",
        ) from error
    raise RolloutError(f"{ref.place} is gone")


async def _sights(cluster: Cluster, ref: WorkloadRef) -> AsyncGenerator[Sight, None]:
    """Deployment and pods, whenever one of them changes; ends where the Deployment is gone."""
    queue: asyncio.Queue[tuple[str, Any] | DevclusterError] = asyncio.Queue()
    first = await cluster.get(*ref.path)
    selector = render_selector(first["spec"]["selector"])

    async def listen(kind: str, states: AsyncGenerator[Any, None]) -> None:
        try:
            async with contextlib.aclosing(states):
                async for state in states:
                    queue.put_nowait((kind, state))
        except DevclusterError as error:
            queue.put_nowait(error)

    deployments = cluster.watch_one(*ref.path)
    pods = cluster.watch_all("pod", ref.namespace, selector=selector)
    seen: dict[str, Any] = {}
    async with (
        running(listen("deployment", deployments), name=f"watch {ref}"),
        running(listen("pod", pods), name=f"watch pods of {ref}"),
    ):
        while True:
            item = await queue.get()
            if isinstance(item, DevclusterError):
                raise item
            seen[item[0]] = item[1]
            if len(seen) == 2:
                if seen["deployment"] is None:
                    return
                yield Sight(seen["deployment"], seen["pod"])


def find_revert(deployment: Json, written: Written) -> str:
    """What of ours somebody has taken back, and who; '' where it stands.  Then no roll-out ends well: of the
    former template nothing is missing, so the controllers have nothing to tell.

    A part that nobody else wrote is another laptop's agent: the record decides between the two."""
    if deployment["metadata"]["generation"] < written.generation:
        return ""
    foreign = written.whole and last_writer(deployment, "spec", "template")
    effects = ("gone", "part") if foreign else ("gone",)
    found = [one.text for one in template_drift(written.originals, deployment) if one.effect in effects]
    return f"{found[0]}, nor are {len(found) - 1} more of its fields" if found[1:] else "".join(found)


def _done(sight: Sight, wrapped: bool, ready: bool) -> bool:
    status, spec = sight.deployment.get("status") or {}, sight.deployment["spec"]
    wanted = spec.get("replicas", 1)
    if status.get("observedGeneration", 0) < sight.deployment["metadata"]["generation"]:
        return False
    if status.get("updatedReplicas", 0) != wanted:
        return False
    live = [pod for pod in sight.pods if _alive(pod)]
    new = [pod for pod in live if is_wrapped(pod) == wrapped]
    if not ready:  # old pods that never answered may stay until a new one does: the controller's rule
        return len(new) >= wanted and all(pod["status"].get("phase") == "Running" for pod in new)
    return len(new) == len(live) and wanted == status.get("replicas", 0) <= status.get("availableReplicas", 0)


def _alive(pod: Json) -> bool:
    phase = (pod.get("status") or {}).get("phase")
    return not pod["metadata"].get("deletionTimestamp") and phase not in ("Failed", "Succeeded")


def find_failure(
    sight: Sight,
    container: str,
    wrapped: bool,
    *,
    patient: bool = False,
    stale: tuple[Json, ...] = (),
) -> tuple[str, str] | None:
    """The pod ('' for none in particular) and the reason why this roll-out can't end well; or None.

    *patient*: the application may end again and again, since it did so before us; the agent may not.
    *stale*: conditions that stood there at the beginning: the roll-out before this one may have left them,
    and the controller takes "too late" away only when something has moved.
    """
    if sight.deployment["spec"].get("paused"):
        return "", "its Deployment is paused (kubectl rollout resume)"
    for pod in sight.pods:
        if is_wrapped(pod) == wrapped and not pod["metadata"].get("deletionTimestamp"):
            reason = _pod_failure(pod, container, patient)
            if reason:
                return pod["metadata"]["name"], reason
    status = sight.deployment.get("status") or {}
    if status.get("observedGeneration", 0) < sight.deployment["metadata"]["generation"]:
        return None
    for item in _conditions(sight):
        if item in stale and (item["type"] == "Progressing" or not wrapped):
            continue
        late = item["type"] == "Progressing" and item.get("reason") == "ProgressDeadlineExceeded"
        if (item["status"] == "True" and item["type"] == "ReplicaFailure") or (
            late and item["status"] == "False"
        ):
            return "", f"{item.get('reason')}: {item.get('message')}"
    return None


def _conditions(sight: Sight) -> tuple[Json, ...]:
    return tuple((sight.deployment.get("status") or {}).get("conditions") or ())


def _pod_failure(pod: Json, container: str, patient: bool) -> str:
    status = pod.get("status") or {}
    for item in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        state: dict[str, Any] = item.get("state") or {}
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


async def _explained(cluster: Cluster, namespace: str, container: str, pod: str, reason: str) -> RolloutError:
    if not pod:
        share = f"the agent adds {MEMORY >> 20} MiB to a memory limit"
        share += ", and a rolling update needs room for one more pod"
        room = "quota" in reason or "usage per" in reason  # ResourceQuota, LimitRange
        return RolloutError(f"the pods can't be started: {reason}", hint=share if room else "")
    log = ""
    for previous in (False, True):
        with contextlib.suppress(DevclusterError):
            log = await cluster.pod_logs(pod, namespace, container=container, lines=8, previous=previous)
        if log.strip() and not log.startswith("unable to retrieve"):  # kubelet's own words, with HTTP 200
            break
        log = ""
    message = f"pod {pod} in namespace {namespace} does not start: {reason}"
    hint = f"its last lines:\n{log.rstrip()}" if log.strip() else ""
    if f"{ROOT}/bin/boot: {_FOREIGN}" in log + reason:
        message += f" ({_FOREIGN})"
        hint = "the agent is for another machine than its node: say its `kubernetes.io/arch` as nodeSelector"
    return RolloutError(message, hint=hint)


def tell_progress(sight: Sight, wrapped: bool) -> str:
    """How far it is, and what the controllers say of it."""
    status, wanted = sight.deployment.get("status") or {}, sight.deployment["spec"].get("replicas", 1)
    parts = [
        f"{status.get('updatedReplicas', 0)} of {wanted} pods are new",
        f"{status.get('availableReplicas', 0)} available",
    ]
    for item in status.get("conditions") or []:
        if item["status"] == "False" and item.get("message"):
            parts.append(item["message"])
    for pod in sight.pods:
        for item in (pod.get("status") or {}).get("conditions") or []:
            if is_wrapped(pod) == wrapped and item["type"] == "PodScheduled" and item["status"] == "False":
                parts.append(f"pod {pod['metadata']['name']} has no node: {item.get('message', '')}")
    return "; ".join(parts)

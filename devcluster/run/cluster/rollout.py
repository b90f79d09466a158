"""Waiting for a roll-out, and knowing early that it will not succeed.

The workload and its pods are watched together and judged after each change, by the workload's kind
(``rules.kinds``).  If a pod fails the roll-out, its last log lines are read.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, assert_never

from devcluster.edge.background import running
from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Cluster, Json
from devcluster.edge.kube.workload import render_selector
from devcluster.errors import ChangedError, DevclusterError, FailedError, NotFoundError
from devcluster.rules.advice.controllers import last_writer, render_pause
from devcluster.rules.cluster.drift import template_drift
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.marks import Originals
from devcluster.rules.kinds.kind import Done, Sight, Stuck, Waiting
from devcluster.rules.kinds.table import kind_of
from devcluster.run.turn import Turn


class RolloutError(FailedError):
    """The roll-out will not succeed; the message has the pod's reason."""


@dataclass(frozen=True, slots=True)
class Written:
    """What `up` wrote.  ``generation``: the workload's since then; a lower one is from before.  ``whole``:
    all of it was written just now, so a part that is gone has just been taken back, too.  ``doubt``: what may
    be wrong with the agent if its pod ends by itself, in words, or ''."""

    originals: Originals = field(repr=False)
    generation: int
    whole: bool
    doubt: str = ""


async def await_rollout(
    cluster: Cluster,
    ref: WorkloadRef,
    *,
    container: str,
    wrapped: bool,
    ready: bool,
    turn: Turn,
    subject: str = "",
    written: Written | None = None,
) -> None:
    """Until every pod is of the newest template; with *ready* also available.

    *wrapped*: which pods are the new ones, those with an agent or those without.  *written*: what must stay;
    *subject*: of its progress.
    RolloutError where it fails or takes longer than *turn* may.
    """
    waiting = "nothing was seen"
    stale: tuple[Json, ...] | None = None
    deleted: set[str] = set()
    try:
        async with turn.deadline.bound(), contextlib.aclosing(_states(cluster, ref)) as states:
            async for item, pods in states:
                if written is not None and (reverted := find_revert(item, written)):
                    raise RolloutError(reverted, hint=render_pause(item))
                if stale is None:
                    stale = tuple((item.get("status") or {}).get("conditions") or ())
                verdict = kind_of(ref).judge_rollout(Sight(item, pods, container, wrapped, ready, stale))
                match verdict:
                    case Done():
                        return
                    case Waiting():
                        waiting = verdict.what
                        if verdict.blocked and verdict.blocked not in deleted:
                            turn.say(subject or str(ref), f"delete pod {verdict.blocked}: {verdict.what}")
                            deleted.add(verdict.blocked)
                            await _delete(cluster, ref, verdict.blocked, pods)
                    case Stuck():
                        doubt = written.doubt if written is not None else ""
                        raise await _explained(cluster, ref, container, verdict, doubt, pods)
                    case _:
                        assert_never(verdict)
    except TimeoutError as error:
        raise RolloutError(
            f"{ref.full_name} is not rolled out after {turn.deadline.span:.0f} s: {waiting}",
            hint=f"{ref.kubectl('describe')}\nkubectl describe pods -n {ref.namespace}",
        ) from error
    raise RolloutError(f"{ref.full_name} is gone")


async def _delete(cluster: Cluster, ref: WorkloadRef, name: str, pods: tuple[Json, ...]) -> None:
    """Delete a pod that its controller does not replace."""
    uid = next(pod["metadata"]["uid"] for pod in pods if pod["metadata"]["name"] == name)
    try:
        with contextlib.suppress(NotFoundError, ChangedError):
            await cluster.delete("pod", name, ref.namespace, uid=uid)
    except ForbiddenError as error:
        raise RolloutError(
            f"pod {name} in namespace {ref.namespace} is not ready, so its controller does not replace it; "
            f"{error.message}",
            hint=f"kubectl delete pod {name} -n {ref.namespace}",
        ) from error


async def _states(cluster: Cluster, ref: WorkloadRef) -> AsyncGenerator[tuple[Json, tuple[Json, ...]], None]:
    """Workload and pods, whenever one of them changes; ends where the workload is gone."""
    queue: asyncio.Queue[tuple[str, Any] | DevclusterError] = asyncio.Queue()
    first = await cluster.get(*ref.path)
    selector = render_selector(first["spec"]["selector"])

    async def listen(what: str, states: AsyncGenerator[Any, None]) -> None:
        try:
            async with contextlib.aclosing(states):
                async for state in states:
                    queue.put_nowait((what, state))
        except DevclusterError as error:
            queue.put_nowait(error)

    workloads = cluster.watch_one(*ref.path)
    pods = cluster.watch_all("pod", ref.namespace, selector=selector)
    seen: dict[str, Any] = {}
    async with (
        running(listen("workload", workloads), name=f"watch {ref}"),
        running(listen("pods", pods), name=f"watch pods of {ref}"),
    ):
        while True:
            item = await queue.get()
            if isinstance(item, DevclusterError):
                raise item
            seen[item[0]] = item[1]
            if len(seen) == 2:
                if seen["workload"] is None:
                    return
                yield seen["workload"], seen["pods"]


def find_revert(item: Json, written: Written) -> str:
    """What somebody has changed back, and who; '' if nothing was.  After that no roll-out can succeed, and
    the controllers report nothing, since nothing of the former template is missing.

    A part that nobody else wrote is another laptop's agent: the record decides between the two.
    """
    if item["metadata"]["generation"] < written.generation:
        return ""
    foreign = written.whole and last_writer(item, "spec", "template")
    effects = ("gone", "part") if foreign else ("gone",)
    found = [one.text for one in template_drift(written.originals, item) if one.effect in effects]
    return f"{found[0]}, nor are {len(found) - 1} more of its fields" if found[1:] else "".join(found)


async def _explained(
    cluster: Cluster, ref: WorkloadRef, container: str, stuck: Stuck, doubt: str, pods: tuple[Json, ...]
) -> RolloutError:
    """With the last lines of the pod's log, since they say what kubelet can't."""
    if not stuck.pod:
        hint = ref.kubectl(stuck.command) if stuck.command else stuck.hint
        return RolloutError(f"{ref.full_name}: {stuck.why}", hint=hint)
    message = f"pod {stuck.pod} in namespace {ref.namespace} does not start: {stuck.why}"
    pod = next(one for one in pods if one["metadata"]["name"] == stuck.pod)
    log = await _last_lines(cluster, ref.namespace, pod, container)
    hints = [*([f"its last lines:\n{log}"] if log else []), *([doubt] if doubt else [])]
    return RolloutError(message, hint="\n".join(hints))


async def _last_lines(cluster: Cluster, namespace: str, pod: Json, container: str) -> str:
    """Of the container that ended last: the former one if it runs again.  '' where nothing can be read."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    state = next((item.get("state") or {} for item in statuses if item["name"] == container), {})
    name = pod["metadata"]["name"]
    for previous in ("running" in state, "running" not in state):
        with contextlib.suppress(DevclusterError):
            log = await cluster.pod_logs(name, namespace, container=container, lines=8, previous=previous)
            if log.strip():
                return log.rstrip()
    return ""

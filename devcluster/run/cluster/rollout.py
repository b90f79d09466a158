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
from devcluster.rules.advice.crashes import Crash, find_crashes, has_crashed, render_collision
from devcluster.rules.cluster.drift import template_drift
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.marks import Originals
from devcluster.rules.counted import counted
from devcluster.rules.kinds.kind import Done, Sight, Stuck, Waiting
from devcluster.rules.kinds.pods import is_ready, of_side, staying
from devcluster.rules.kinds.table import kind_of
from devcluster.run.cluster.pod_log import last_lines
from devcluster.run.cluster.quietly import list_quietly
from devcluster.run.turn import Turn

_AGAIN = 1  # restarts: it has ended twice; once it may have waited for the application


class RolloutError(FailedError):
    """The roll-out will not succeed; the message has the pod's reason.  ``said``: what kubelet says of it, ''
    for nothing."""

    said = ""


@dataclass(frozen=True, slots=True)
class Written:
    """What `up` wrote.  ``generation``: the workload's since then; one below it is from before.  ``whole``:
    all of it was written just now, so that a part that is gone has just been taken back, too.  ``doubt``:
    what may be wrong with the agent where its pod ends by itself, in words, or ''.  ``ports``: the agent's;
    ``weak``: containers that end by themselves as it is."""

    originals: Originals = field(repr=False)
    generation: int
    whole: bool
    doubt: str = ""
    ports: tuple[int, ...] = ()
    weak: frozenset[str] = frozenset()


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
    waiting = "the cluster has not said what it waits for"
    seen: tuple[Json, ...] = ()
    stale: tuple[Json, ...] | None = None
    deleted: set[str] = set()
    try:
        async with turn.deadline.bound(), contextlib.aclosing(_states(cluster, ref)) as states:
            async for item, pods in states:
                seen = pods
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
                        if written is not None and ready:
                            await _check_beside(cluster, pods, container, written)
                        if verdict.blocked and verdict.blocked not in deleted:
                            turn.say(subject or str(ref), f"delete pod {verdict.blocked}: {verdict.what}")
                            deleted.add(verdict.blocked)
                            await _delete(cluster, ref, verdict.blocked, pods)
                    case Stuck():
                        raise await _explained(cluster, ref, container, verdict, written, pods)
                    case _:
                        assert_never(verdict)
    except TimeoutError as error:
        said, log = await _last_words(cluster, seen, container, wrapped)
        late = RolloutError(
            f"{ref.full_name} is not rolled out after {turn.deadline.span:.0f} s: {waiting}",
            hint="\n".join(filter(None, [said, log, ref.kubectl("describe")])),
        )
        late.said = said
        raise late from error
    raise RolloutError(f"{ref.full_name} is gone")


async def _last_words(
    cluster: Cluster, pods: tuple[Json, ...], container: str, wrapped: bool
) -> tuple[str, str]:
    """Of the first new pod that is not ready: what kubelet says of its probes, and its log; or ''."""
    pod = next((one for one in of_side(staying(pods), wrapped) if not is_ready(one)), None)
    if pod is None:
        return "", ""
    name, space = pod["metadata"]["name"], pod["metadata"]["namespace"]
    events = await list_quietly(cluster, "event", space, fields=f"involvedObject.name={name},type=Warning")
    said = next((f"kubelet: {one['message'].strip()}" for one in events[-1:] if one.get("message")), "")
    log = await last_lines(cluster, pod, container)
    return said, f"its last lines:\n{log}" if log else ""


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
    more = counted(len(found) - 1, "more field was", "more fields were")
    return f"{found[0]}; {more} changed too" if found[1:] else "".join(found)


async def _explained(
    cluster: Cluster,
    ref: WorkloadRef,
    container: str,
    stuck: Stuck,
    written: Written | None,
    pods: tuple[Json, ...],
) -> RolloutError:
    """With the last lines of the pod's log, since they say what kubelet can't."""
    if not stuck.pod:
        hint = ref.kubectl(stuck.command) if stuck.command else stuck.hint
        return RolloutError(f"{ref.full_name}: {stuck.why}", hint=hint)
    message = f"pod {stuck.pod} in namespace {ref.namespace} does not start: {stuck.why}"
    pod = next(one for one in pods if one["metadata"]["name"] == stuck.pod)
    log = await last_lines(cluster, pod, container)
    words = [f"its last lines:\n{log}" if log else ""]
    if written is not None:
        certain = has_crashed(pod, container, written.weak)
        words += [render_collision(log, written.ports, certain=certain), written.doubt]
    return RolloutError(message, hint="\n".join(filter(None, words)))


async def _check_beside(cluster: Cluster, pods: tuple[Json, ...], container: str, written: Written) -> None:
    """RolloutError for another container that ended again and again."""
    for crash in find_crashes(pods, container, written.weak):
        if crash.down and crash.restarts >= _AGAIN:
            raise RolloutError(str(crash), hint=await explain_crash(cluster, pods, crash, written.ports))


async def explain_crash(
    cluster: Cluster, pods: tuple[Json, ...], crash: Crash, ports: tuple[int, ...]
) -> str:
    """What it said last, and which of the agent's *ports* it may have wanted."""
    pod = next(one for one in pods if one["metadata"]["name"] == crash.pod)
    log = await last_lines(cluster, pod, crash.container)
    words = [f"its last lines:\n{log}" if log else "", render_collision(log, ports, certain=True)]
    return "\n".join(filter(None, words))

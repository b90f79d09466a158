"""Deployments.

Source: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status
"""

from __future__ import annotations

from typing import Any

from devcluster.config.model import Order
from devcluster.rules.cluster.memory import MEMORY
from devcluster.rules.kinds.kind import (
    NO_PODS,
    Claims,
    Done,
    Kind,
    Refusal,
    RolloutVerdict,
    Sight,
    Stuck,
    Waiting,
    available_replicas,
    spec_replicas,
)
from devcluster.rules.kinds.pods import find_failed, is_seen, of_side, runs, share, staying, tell_waiting
from devcluster.rules.kinds.replicasets import REPLICASETS
from devcluster.rules.kinds.rolling import patience

Json = dict[str, Any]

_ROOM = (
    f"the agent adds {MEMORY >> 20} MiB to a memory limit, and a rolling update needs room for one more pod"
)


def _beside(item: Json) -> str:
    recreated = (item["spec"].get("strategy") or {}).get("type") == "Recreate"
    return "" if recreated else "its strategy RollingUpdate"


def _order(item: Json, claims: Claims) -> Order:
    return "start-first" if _beside(item) and not claims else "stop-first"


def _rolling(item: Json, claims: Claims) -> Json:
    alone = {"strategy": {"type": "Recreate"}} if claims and _beside(item) else {}
    return alone | patience(item["spec"])


def _refuse(item: Json) -> Refusal | None:
    if spec_replicas(item) == 0:
        return Refusal(NO_PODS, "scale --replicas=1")
    if item["spec"].get("paused"):
        return Refusal("is paused, so its template would not be rolled out", "rollout resume")
    return None


def _gap(item: Json, claims: Claims) -> str:
    if claims and _beside(item):
        return f"two of its pods must not write to claim {claims[0]}"
    strategy = item["spec"].get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return "its strategy is Recreate"
    rolling, replicas = strategy.get("rollingUpdate") or {}, spec_replicas(item)
    surge = share(rolling.get("maxSurge", "25%"), replicas, up=True)
    gone = share(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    gone = gone or (surge == 0)  # or it could not go on at all: the controller's rule
    return "its maxUnavailable lets all of its pods stop at once" if gone >= replicas and not surge else ""


def judge_deployment(sight: Sight) -> RolloutVerdict:
    """See ``Kind``."""
    if _done(sight):
        return Done()
    return _stuck(sight) or Waiting(_waits_for(sight))


def _done(sight: Sight) -> bool:
    status, wanted = sight.object.get("status") or {}, spec_replicas(sight.object)
    if not is_seen(sight.object) or status.get("updatedReplicas", 0) != wanted:
        return False
    live = staying(sight.pods)
    new = of_side(live, sight.wrapped)
    if not sight.ready:  # old pods that never answered may stay until a new one does: the controller's rule
        return len(new) >= wanted and all(map(runs, new))
    return len(new) == len(live) and wanted == status.get("replicas", 0) <= status.get("availableReplicas", 0)


def _stuck(sight: Sight) -> Stuck | None:
    if sight.object["spec"].get("paused"):
        return Stuck("it is paused", command="rollout resume")
    if (failed := find_failed(sight, of_side(sight.pods, sight.wrapped))) is not None:
        return failed
    for item in conditions(sight.object) if is_seen(sight.object) else ():
        # "too late" is taken away only when something has moved; a refusal of before may be of our own pods
        if item in sight.stale and (item["type"] == "Progressing" or not sight.wrapped):
            continue
        words = f"{item.get('reason')}: {item.get('message')}"
        if item["type"] == "ReplicaFailure" and item["status"] == "True":
            return Stuck(f"the pods can't be started: {words}", hint=_ROOM)
        late = item["type"] == "Progressing" and item.get("reason") == "ProgressDeadlineExceeded"
        if late and item["status"] == "False":
            return Stuck(f"the pods can't be started: {words}")
    return None


def conditions(item: Json) -> tuple[Json, ...]:
    return tuple((item.get("status") or {}).get("conditions") or ())


def _waits_for(sight: Sight) -> str:
    if not is_seen(sight.object):
        return "its controller has not seen the change yet"
    live = staying(sight.pods)
    new, old = of_side(live, sight.wrapped), of_side(live, not sight.wrapped)
    told = tell_waiting(sight, new, old, spec_replicas(sight.object))
    return "; ".join(
        [told, *(str(it["message"]) for it in conditions(sight.object) if _complains(it) and not new)]
    )


def _complains(condition: Json) -> bool:
    return condition["status"] == "False" and bool(condition.get("message"))


DEPLOYMENT = Kind(
    name="deployment",
    title="Deployment",
    plural="deployments",
    order=_order,
    beside=_beside,
    serves_on=lambda item, claims: _order(item, claims) == "start-first",
    replicas=spec_replicas,
    available=available_replicas,
    gap=_gap,
    refuse=_refuse,
    judge_rollout=judge_deployment,
    rolling=_rolling,
    history=REPLICASETS,
    early=True,
    common=True,
)

"""StatefulSets.

The controller replaces one pod after the other, the highest ordinal first, and waits until each is ready.
With ``podManagementPolicy: OrderedReady`` it touches nothing while any pod is not ready: a broken pod of a
former template stays for ever, even after the template is restored.  Such a pod is named
(``Waiting.blocked``), so that it can be deleted; but only if no other pod is changing, or a quorum would lose
two at once, and not while its startup probe still allows it to start, or a database that fills its empty
folder would be cut off.

Sources:
https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
k8s.io/kubernetes pkg/controller/statefulset/stateful_set_control.go
"""

from __future__ import annotations

from typing import Any

from devcluster.config.model import Order
from devcluster.rules.kinds.kind import (
    NO_PODS,
    Claims,
    Done,
    Kind,
    Refusal,
    RolloutVerdict,
    Sight,
    Waiting,
    available_replicas,
    spec_replicas,
)
from devcluster.rules.kinds.pods import (
    ends,
    find_failed,
    is_ready,
    is_seen,
    is_starting,
    of_side,
    runs,
    staying,
    tell_waiting,
)
from devcluster.rules.kinds.revisions import REVISIONS
from devcluster.rules.kinds.rolling import patience

Json = dict[str, Any]

_HASH = "controller-revision-hash"
_ALL: Json = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}  # every pod, by the controller


def _order(item: Json, claims: Claims) -> Order:
    return "stop-first"  # its pod is somebody: the same name, the same volume


def _gap(item: Json, claims: Claims) -> str:
    return "it is a StatefulSet with one pod" if spec_replicas(item) == 1 else ""


def _refuse(item: Json) -> Refusal | None:
    return Refusal(NO_PODS, "scale --replicas=1") if spec_replicas(item) == 0 else None


def _rolling(item: Json, claims: Claims) -> Json:
    return _held_back(item) | patience(item["spec"])


def _held_back(item: Json) -> Json:
    strategy = item["spec"].get("updateStrategy") or {}
    partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
    whole = strategy.get("type", "RollingUpdate") == "RollingUpdate" and not partition
    return {} if whole else {"updateStrategy": _ALL}


def _mixed(item: Json) -> str:
    status = item.get("status") or {}
    if not _held_back(item) or status.get("updatedReplicas", 0) >= spec_replicas(item):
        return ""
    strategy = item["spec"]["updateStrategy"]
    on_delete = strategy["type"] == "OnDelete"
    return "OnDelete" if on_delete else f"partition {strategy['rollingUpdate']['partition']}"


def _volumes(item: Json) -> list[Json]:
    claims = item["spec"].get("volumeClaimTemplates") or []
    return [{"name": claim["metadata"]["name"], "persistentVolumeClaim": {}} for claim in claims]


def judge_statefulset(sight: Sight) -> RolloutVerdict:
    """See ``Kind``."""
    if not is_seen(sight.object):
        return Waiting("its controller has not seen the change yet")
    new, old = _sides(sight)
    if _done(sight, new, old):
        return Done()
    if (failed := find_failed(sight, new)) is not None:
        return failed
    blocked = _blocked(sight, new, old)
    what = tell_waiting(sight, new, old, spec_replicas(sight.object))
    if starting := [pod["metadata"]["name"] for pod in sorted(old, key=_ordinal) if is_starting(pod)]:
        what = f"pod {starting[0]} is starting, for as long as its startup probe allows"
    if blocked:
        what = f"pod {blocked} is not ready, and its controller replaces no pod before it is"
    return Waiting(what, blocked)


def _sides(sight: Sight) -> tuple[list[Json], list[Json]]:
    """The pods that stay: of the newest template, and of a former one.  Pods that its strategy holds back are
    as new as they get."""
    newest = (sight.object.get("status") or {}).get("updateRevision")
    live, held_back = staying(sight.pods), bool(_held_back(sight.object))
    new = [pod for pod in of_side(live, sight.wrapped) if held_back or _label(pod) == newest]
    return new, [pod for pod in live if pod not in new]


def _label(pod: Json) -> str | None:
    found: str | None = (pod["metadata"].get("labels") or {}).get(_HASH)
    return found


def _done(sight: Sight, new: list[Json], old: list[Json]) -> bool:
    wanted = spec_replicas(sight.object)
    if sight.ready:
        return not old and len(new) == wanted <= available_replicas(sight.object) and all(map(is_ready, new))
    if not sight.wrapped:
        return not of_side(sight.pods, wrapped=True) and all(map(runs, new))
    # none was ready before us, and the controller goes on with the others once the first one is
    return bool(new) and all(map(runs, new)) and not any(map(is_ready, old))


def _blocked(sight: Sight, new: list[Json], old: list[Json]) -> str:
    """The pod of a former template that the controller will neither replace nor pass; '' for none."""
    if sight.object["spec"].get("podManagementPolicy", "OrderedReady") != "OrderedReady":
        return ""
    busy = any(map(ends, sight.pods)) or not all(map(is_ready, new))
    if busy and (sight.ready or sight.wrapped):
        return ""
    unready = sorted((pod for pod in old if not is_ready(pod)), key=_ordinal)
    if not unready or is_starting(unready[0]):
        return ""
    return str(unready[0]["metadata"]["name"])


def _ordinal(pod: Json) -> int:
    return int(pod["metadata"]["name"].rpartition("-")[2])


STATEFULSET = Kind(
    name="statefulset",
    title="StatefulSet",
    plural="statefulsets",
    order=_order,
    beside=lambda item: "",
    replicas=spec_replicas,
    available=available_replicas,
    gap=_gap,
    refuse=_refuse,
    judge_rollout=judge_statefulset,
    history=REVISIONS,
    rolling=_rolling,
    mixed=_mixed,
    volumes=_volumes,
    lasting=True,
)

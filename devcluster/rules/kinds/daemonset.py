"""DaemonSets: a pod on each node, stopped there before the new one starts (unless ``maxSurge`` says
otherwise).

Source: https://kubernetes.io/docs/tasks/manage-daemon/update-daemon-set/
"""

from __future__ import annotations

from typing import Any

from devcluster.config.model import Order
from devcluster.rules.kinds.kind import Claims, Done, Kind, Refusal, RolloutVerdict, Sight, Waiting
from devcluster.rules.kinds.pods import find_failed, is_seen, of_side, runs, share, staying, tell_waiting
from devcluster.rules.kinds.revisions import REVISIONS
from devcluster.rules.kinds.rolling import patience

Json = dict[str, Any]

_ALONE: Json = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}


def _rolling_update(item: Json) -> Json:
    strategy: Json = (item["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    return strategy


def _surges(item: Json) -> bool:
    return share(_rolling_update(item).get("maxSurge", 0), 1, up=True) > 0


def _beside(item: Json) -> str:
    return "its maxSurge" if _surges(item) else ""


def _order(item: Json, claims: Claims) -> Order:
    return "start-first" if _surges(item) and not claims else "stop-first"


def _status(item: Json, name: str) -> int:
    return int((item.get("status") or {}).get(name, 0))


def _replicas(item: Json) -> int:
    return _status(item, "desiredNumberScheduled")


def _available(item: Json) -> int:
    return _status(item, "numberAvailable")


def _gap(item: Json, claims: Claims) -> str:
    if claims and _surges(item):
        return f"two of its pods must not write to claim {claims[0]}"
    gone = share(_rolling_update(item).get("maxUnavailable", 1), _replicas(item), up=True)
    return "" if _surges(item) or gone < _replicas(item) else "it is a DaemonSet that stops its pods first"


def _refuse(item: Json) -> Refusal | None:
    if _replicas(item) > 0 or not is_seen(item):
        return None
    return Refusal("runs on no node, so it has no pod to stand in for", "describe")


def _on_delete(item: Json) -> bool:
    return bool((item["spec"].get("updateStrategy") or {}).get("type") == "OnDelete")


def _rolling(item: Json, claims: Claims) -> Json:
    found: Json = {"updateStrategy": {"type": "RollingUpdate"}} if _on_delete(item) else {}
    if claims and _surges(item):
        found = {"updateStrategy": _ALONE}
    return found | patience(item["spec"])


def _mixed(item: Json) -> str:
    behind = _status(item, "updatedNumberScheduled") < _replicas(item)
    return "OnDelete" if _on_delete(item) and behind else ""


def judge_daemonset(sight: Sight) -> RolloutVerdict:
    """See ``Kind``."""
    if not is_seen(sight.object):
        return Waiting("its controller has not seen the change yet")
    live, wanted = staying(sight.pods), _replicas(sight.object)
    new, old = of_side(live, sight.wrapped), of_side(live, not sight.wrapped)
    newest = _on_delete(sight.object) or _status(sight.object, "updatedNumberScheduled") == wanted
    if newest and len(new) >= wanted and not old:  # with OnDelete pods are as new as they get
        if sight.ready and _available(sight.object) >= wanted:
            return Done()
        if not sight.ready and all(map(runs, new)):
            return Done()
    return find_failed(sight, new) or Waiting(tell_waiting(sight, new, old, wanted))


DAEMONSET = Kind(
    name="daemonset",
    title="DaemonSet",
    plural="daemonsets",
    order=_order,
    beside=_beside,
    replicas=_replicas,
    available=_available,
    gap=_gap,
    refuse=_refuse,
    judge_rollout=judge_daemonset,
    history=REVISIONS,
    rolling=_rolling,
    mixed=_mixed,
)

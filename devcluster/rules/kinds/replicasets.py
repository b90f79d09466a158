"""A Deployment's history: its ReplicaSets, as if we had never been there.

A release with an agent in it goes.  A teammate's release made while the agent was in has no ReplicaSet
without an agent unless it is the newest; so it gets its template without the agent instead.  Then the numbers
are set right (``revision_numbers``).  The controller only ever raises a revision above the highest *other*
one, so once ours are gone it leaves them alone.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

from devcluster.rules.cluster.marks import REVISION, REVISION_HISTORY, Originals, restore_template
from devcluster.rules.cluster.template import is_wrapped
from devcluster.rules.kinds.kind import Change, History, HistoryStep, Remove
from devcluster.rules.kinds.revision_numbers import Numbered, renumber

Json = dict[str, Any]

_HASH = "pod-template-hash"


def _wrapped(item: Json) -> bool:
    return is_wrapped(item["spec"]["template"])


def _used(item: Json) -> bool:
    return bool(item["spec"].get("replicas"))


def _notes(item: Json) -> dict[str, str]:
    return item["metadata"].get("annotations") or {}


def _revision(item: Json) -> int:
    return int(_notes(item).get(REVISION, "0"))


def _current(workload: Json, items: Collection[Json]) -> str:
    return _notes(workload).get(REVISION, "")


def _numbers(items: Collection[Json]) -> dict[str, tuple[str, str]]:
    return {
        item["metadata"]["name"]: (_notes(item).get(REVISION, ""), _notes(item).get(REVISION_HISTORY, ""))
        for item in items
    }


def _bare(template: Json) -> Json:
    """Without the label by which a ReplicaSet tells its pods."""
    result: Json = copy.deepcopy(template)
    (result.get("metadata", {}).get("labels") or {}).pop(_HASH, None)
    return result


def clean_sets(originals: Originals, items: Collection[Json]) -> tuple[HistoryStep, ...]:
    """The steps, the oldest first."""
    sets = sorted(items, key=_revision)
    known = [_bare(item["spec"]["template"]) for item in sets if not _wrapped(item)]
    steps: list[HistoryStep] = []
    for item in filter(_wrapped, sets):
        plain = restore_template(originals, _bare(item["spec"]["template"])).template
        if plain in known or _used(item):
            steps.append(Remove(item["metadata"]["name"], item["metadata"]["uid"]))
            continue
        known.append(plain)
        steps.append(_unwrap(item, plain))
    return tuple(steps)


def _unwrap(item: Json, plain: Json) -> Change:
    metadata, template = item["metadata"], copy.deepcopy(plain)
    template.setdefault("metadata", {}).setdefault("labels", {})[_HASH] = metadata["labels"][_HASH]
    body = [{"op": "replace", "path": "/spec/template", "value": template}]
    return Change(metadata["name"], body, metadata["resourceVersion"])


def renumber_sets(originals: Originals, items: Collection[Json]) -> tuple[HistoryStep, ...]:
    """The steps; none where the controller had not seen the workload when we came."""
    if not originals.revision.isdigit():
        return ()
    now = {
        item["metadata"]["name"]: Numbered(
            item["metadata"]["name"], _revision(item), _notes(item).get(REVISION_HISTORY, "")
        )
        for item in items
        if not _wrapped(item)
    }
    wanted = renumber(list(now.values()), current=int(originals.revision), before=originals.revisions)
    versions = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in items}
    return tuple(
        Change(number.name, _annotations(number), versions[number.name])
        for number in wanted
        if number != now[number.name]
    )


def _annotations(number: Numbered) -> Json:
    notes = {REVISION: str(number.revision), REVISION_HISTORY: number.history or None}
    return {"metadata": {"annotations": notes}}


REPLICASETS = History(
    resource="replicaset",
    title="ReplicaSets",
    wrapped=_wrapped,
    used=_used,
    current=_current,
    numbers=_numbers,
    clean=clean_sets,
    renumber=renumber_sets,
    label=REVISION,
)

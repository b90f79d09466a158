"""The history of a StatefulSet or a DaemonSet: its ControllerRevisions, as if we had never been there.

A revision with an agent in it goes.  A revision's data can't be changed, so a teammate's release made while
the agent was in is made anew without it.  Then the numbers are set right (``revision_numbers``): the
controller gives the template that it is told the highest number again, and once ours are gone it has no
reason to.

Source: k8s.io/kubernetes pkg/controller/history/controller_history.go
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from devcluster.rules.cluster.marks import Originals, restore_template
from devcluster.rules.cluster.template import is_wrapped
from devcluster.rules.kinds.kind import Change, History, HistoryStep, Make, Remove
from devcluster.rules.kinds.revision_numbers import Numbered, renumber

Json = dict[str, Any]

_PATCH = "$patch"  # the data is a strategic merge patch that replaces the template
_HASH = "controller.kubernetes.io/hash"  # of the data, which is another one then


def _template(item: Json) -> Json:
    found: Json = item["data"]["spec"]["template"]
    return {key: value for key, value in found.items() if key != _PATCH}


def _wrapped(item: Json) -> bool:
    return is_wrapped(_template(item))


def _revision(item: Json) -> int:
    return int(item["revision"])


def _current(workload: Json, items: Collection[Json]) -> str:
    """The controller gives its template the highest number."""
    return str(max(map(_revision, items), default=""))


def _numbers(items: Collection[Json]) -> dict[str, tuple[str, str]]:
    return {item["metadata"]["name"]: (str(_revision(item)), "") for item in items}


def clean_revisions(originals: Originals, items: Collection[Json]) -> tuple[HistoryStep, ...]:
    """The steps, the oldest first.  What is made anew gets its last number at once: its data can't be told
    again in the very same bytes, and so its number can't be changed."""
    revisions = sorted(items, key=_revision)
    known = [_template(item) for item in revisions if not _wrapped(item)]
    anew: list[tuple[Json, Json]] = []
    for item in filter(_wrapped, revisions):
        plain = restore_template(originals, _template(item)).template
        if plain not in known:
            known.append(plain)
            anew.append((item, plain))
    kept = [Numbered(item["metadata"]["name"], _revision(item)) for item in revisions if not _wrapped(item)]
    made = [Numbered(_name_anew(item), _revision(item)) for item, _ in anew]
    numbers = {number.name: number.revision for number in _numbered(originals, [*kept, *made])}
    makes = [_anew(item, plain, numbers.get(_name_anew(item), _revision(item))) for item, plain in anew]
    ours = filter(_wrapped, revisions)
    return (*makes, *(Remove(item["metadata"]["name"], item["metadata"]["uid"]) for item in ours))


def _name_anew(item: Json) -> str:
    return f"{item['metadata']['name']}-plain"


def _anew(item: Json, plain: Json, number: int) -> Make:
    metadata = item["metadata"]
    kept = {key: metadata[key] for key in ("annotations", "ownerReferences") if key in metadata}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != _HASH}
    data = {"spec": {"template": plain | {_PATCH: "replace"}}}
    named = kept | {"name": _name_anew(item), "labels": labels}
    return Make(_name_anew(item), {"metadata": named, "data": data, "revision": number})


def _numbered(originals: Originals, survivors: list[Numbered]) -> tuple[Numbered, ...]:
    """None where the controller had not seen the workload when we came."""
    if not originals.revision.isdigit():
        return ()
    return renumber(survivors, current=int(originals.revision), before=originals.revisions)


def renumber_revisions(originals: Originals, items: Collection[Json]) -> tuple[HistoryStep, ...]:
    """The steps."""
    now = {
        item["metadata"]["name"]: Numbered(item["metadata"]["name"], _revision(item))
        for item in items
        if not _wrapped(item)
    }
    versions = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in items}
    return tuple(
        Change(number.name, {"revision": number.revision}, versions[number.name])
        for number in _numbered(originals, list(now.values()))
        if number.revision != now[number.name].revision
    )


REVISIONS = History(
    resource="controllerrevision",
    title="ControllerRevisions",
    wrapped=_wrapped,
    used=lambda item: False,  # the controller replaces a pod whose revision is gone
    current=_current,
    numbers=_numbers,
    clean=clean_revisions,
    renumber=renumber_revisions,
)

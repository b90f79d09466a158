"""Taking our revisions out of a Deployment's history, so that ``rollout undo`` is as before.

Our ReplicaSets are deleted.  A release that a teammate made while the agent was in has a ReplicaSet with
the agent in its template: where it is not the newest, so that no ReplicaSet without the agent stands for
it, its template is restored instead.  Then the numbers are set right (``rules.history``).  The controller
only ever raises a revision above the highest *other* one, so once ours are gone it leaves them alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
from dataclasses import dataclass, replace

from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Cluster, Json
from devcluster.errors import ChangedError, LeftoverError, NotFoundError
from devcluster.rules.history import Numbered, renumber
from devcluster.rules.marks import REVISION, REVISION_HISTORY, Originals, restore_template
from devcluster.rules.template import is_wrapped

_TRIES = 10
_SETTLE = 10.0  # seconds for the controller to copy a number to its Deployment
_HASH = "pod-template-hash"
_CONTROLLER = "kube-controller-manager"  # whose fields these are: our name would stay in their managedFields


@dataclass(frozen=True, slots=True)
class Pruned:
    """``kept``: what was left alone, in words.  ``left``: what stays of ours for want of a right, in words.
    ``refused``: the rights."""

    kept: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    refused: tuple[ForbiddenError, ...] = ()


async def prune_history(cluster: Cluster, namespace: str, originals: Originals) -> Pruned:
    """As far as the rights go.  The limit is the workload's own, so it can be restored in any case."""
    for _ in range(_TRIES):
        try:
            pruned = await _restore_sets(cluster, namespace, originals)
            kept = await _restore_limit(cluster, namespace, originals)
        except (ChangedError, NotFoundError):
            continue
        return replace(pruned, kept=tuple(kept))
    raise LeftoverError(
        f"the history of {originals.ref.place} keeps changing",
        hint=f"`devcluster down -n {namespace}` tries again",
    )


async def _restore_sets(cluster: Cluster, namespace: str, originals: Originals) -> Pruned:
    """Numbers that are set while one of ours stays would be raised above it by the controller again."""
    try:
        if not (refused := await _drop_wrapped(cluster, namespace, originals)):
            await _set_numbers(cluster, namespace, originals)
            return Pruned()
    except ForbiddenError as error:
        refused = (error,)
    return Pruned(left=(f"the numbers in the history of {originals.ref}",), refused=refused)


async def drop_releases(cluster: Cluster, namespace: str, uid: str) -> None:
    """All releases with an agent away that no pod is of; for where nobody knows what they were before."""
    for item in await _sets(cluster, namespace, uid):
        if is_wrapped(item["spec"]["template"]) and not item["spec"].get("replicas"):
            metadata = item["metadata"]
            with contextlib.suppress(NotFoundError):
                await cluster.delete("replicaset", metadata["name"], namespace, uid=metadata["uid"])


async def _sets(cluster: Cluster, namespace: str, uid: str) -> list[Json]:
    listing = await cluster.list("replicaset", namespace)
    mine = []
    for item in listing.items:
        owners = item["metadata"].get("ownerReferences") or []
        if any(owner["uid"] == uid for owner in owners):
            mine.append(item)
    return sorted(mine, key=_revision)


def _revision(item: Json) -> int:
    return int((item["metadata"].get("annotations") or {}).get(REVISION, "0"))


def _bare(template: Json) -> Json:
    """Without the label by which a ReplicaSet tells its pods."""
    result: Json = copy.deepcopy(template)
    (result.get("metadata", {}).get("labels") or {}).pop(_HASH, None)
    return result


async def _drop_wrapped(cluster: Cluster, namespace: str, originals: Originals) -> tuple[ForbiddenError, ...]:
    """One that may not be touched does not keep the others."""
    refused: list[ForbiddenError] = []
    sets = await _sets(cluster, namespace, originals.uid)
    known = [_bare(item["spec"]["template"]) for item in sets if not is_wrapped(item["spec"]["template"])]
    for item in sets:
        if not is_wrapped(item["spec"]["template"]):
            continue
        metadata = item["metadata"]
        plain = restore_template(originals, _bare(item["spec"]["template"])).template
        try:
            if plain in known or item["spec"].get("replicas"):
                with contextlib.suppress(NotFoundError):
                    await cluster.delete("replicaset", metadata["name"], namespace, uid=metadata["uid"])
                continue
            known.append(plain)
            await _unwrap(cluster, namespace, item, plain)
        except ForbiddenError as error:
            refused.append(error)
    return tuple(refused)


async def _unwrap(cluster: Cluster, namespace: str, item: Json, plain: Json) -> None:
    metadata = item["metadata"]
    template = copy.deepcopy(plain)
    template.setdefault("metadata", {}).setdefault("labels", {})[_HASH] = metadata["labels"][_HASH]
    body = [{"op": "replace", "path": "/spec/template", "value": template}]
    version = metadata["resourceVersion"]
    await cluster.patch(
        "replicaset",
        metadata["name"],
        namespace,
        body,
        type="json-patch",
        resource_version=version,
        manager=_CONTROLLER,
    )


async def _set_numbers(cluster: Cluster, namespace: str, originals: Originals) -> None:
    if not originals.revision.isdigit():
        return  # the controller had never seen it
    sets = await _sets(cluster, namespace, originals.uid)
    now = {
        item["metadata"]["name"]: _number(item) for item in sets if not is_wrapped(item["spec"]["template"])
    }
    wanted = renumber(list(now.values()), current=int(originals.revision), before=originals.revisions)
    by_name = {item["metadata"]["name"]: item for item in sets}
    for number in wanted:
        if number != now[number.name]:
            await _write_number(cluster, namespace, by_name[number.name], number)
    if wanted:
        newest = max(wanted, key=lambda item: item.revision)
        await _await_number(cluster, namespace, originals.ref.name, str(newest.revision))


def _number(item: Json) -> Numbered:
    notes = item["metadata"].get("annotations") or {}
    return Numbered(item["metadata"]["name"], _revision(item), notes.get(REVISION_HISTORY, ""))


async def _write_number(cluster: Cluster, namespace: str, item: Json, number: Numbered) -> None:
    notes = {REVISION: str(number.revision), REVISION_HISTORY: number.history or None}
    body = {"metadata": {"annotations": notes}}
    version = item["metadata"]["resourceVersion"]
    await cluster.patch(
        "replicaset", number.name, namespace, body, resource_version=version, manager=_CONTROLLER
    )


async def _await_number(cluster: Cluster, namespace: str, name: str, revision: str) -> None:
    """The controller copies the newest number to the Deployment."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SETTLE):
            states = cluster.watch_one("deployment", name, namespace)
            async with contextlib.aclosing(states):
                async for item in states:
                    notes = item["metadata"].get("annotations") or {} if item else {REVISION: revision}
                    if notes.get(REVISION) == revision:
                        return
    body = {"metadata": {"annotations": {REVISION: revision}}}
    await cluster.patch("deployment", name, namespace, body, manager=_CONTROLLER)


async def _restore_limit(cluster: Cluster, namespace: str, originals: Originals) -> list[str]:
    live = await cluster.get(*originals.ref.path)
    limit = live["spec"].get("revisionHistoryLimit")
    if limit == originals.history_limit:
        return []
    if limit != originals.raised_limit:
        return [f"{originals.ref} spec.revisionHistoryLimit"]
    body = {"spec": {"revisionHistoryLimit": originals.history_limit}}
    version = live["metadata"]["resourceVersion"]
    await cluster.patch(*originals.ref.path, body, resource_version=version)
    return []

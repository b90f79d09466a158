"""Taking our releases out of a workload's history, so that ``rollout undo`` works as before.

The kind decides what is to be done (``rules.kinds``); here it is done, as far as the rights go.  A right that
is missing for one release does not hold up the others.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import assert_never

from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Cluster, Json, PatchType
from devcluster.edge.kube.swap import Lost, until_won
from devcluster.errors import ChangedError, NotFoundError
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.marks import Originals
from devcluster.rules.kinds.kind import Change, HistoryStep, Make, Remove
from devcluster.rules.kinds.table import kind_of
from devcluster.run.cluster.fields import restore_limit

_SETTLE = 10.0  # seconds for the controller to copy a number to its workload
_CONTROLLER = "kube-controller-manager"  # whose fields these are: our name would stay in their managedFields


@dataclass(frozen=True, slots=True)
class Pruned:
    """``kept``: what was left alone, in words.  ``left``: what of ours stays because a right is missing, in
    words.  ``refused``: those rights."""

    kept: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    refused: tuple[ForbiddenError, ...] = ()


async def list_releases(cluster: Cluster, ref: WorkloadRef, uid: str) -> tuple[Json, ...]:
    """The workload's own, in no order."""
    listing = await cluster.list(kind_of(ref).history.resource, ref.namespace)
    return tuple(item for item in listing.items if is_owned(item, uid))


def is_owned(item: Json, uid: str) -> bool:
    """Whether the workload *uid* is an owner of *item*; nobody is for ''."""
    owners = item["metadata"].get("ownerReferences") or []
    return bool(uid) and any(owner["uid"] == uid for owner in owners)


async def prune_history(cluster: Cluster, originals: Originals) -> Pruned:
    """As far as the rights go.  The limit is the workload's own, so it can always be restored."""

    async def attempt() -> Pruned | Lost:
        try:
            return await _restore_releases(cluster, originals)
        except (ChangedError, NotFoundError):
            return Lost.LOST

    pruned = await until_won(attempt, f"the history of {originals.ref.full_name}")
    return replace(pruned, kept=await restore_limit(cluster, originals))


async def _restore_releases(cluster: Cluster, originals: Originals) -> Pruned:
    """Numbers that are set while one of our revisions is left would be raised again by the controller."""
    ref, history = originals.ref, kind_of(originals.ref).history
    try:
        steps = history.clean(originals, await list_releases(cluster, ref, originals.uid))
        refused = await _apply(cluster, ref, steps)
        if not refused:
            await _set_numbers(cluster, originals)
            return Pruned()
    except ForbiddenError as error:
        refused = (error,)
    return Pruned(left=(f"the numbers in the history of {ref}",), refused=refused)


async def drop_releases(cluster: Cluster, ref: WorkloadRef, uid: str) -> None:
    """Remove all releases with an agent that no pod belongs to; for when nobody knows what they
    were before."""
    history = kind_of(ref).history
    for item in await list_releases(cluster, ref, uid):
        if history.wrapped(item) and not history.used(item):
            await _step(cluster, ref, Remove(item["metadata"]["name"], item["metadata"]["uid"]))


async def _apply(
    cluster: Cluster, ref: WorkloadRef, steps: tuple[HistoryStep, ...]
) -> tuple[ForbiddenError, ...]:
    refused: list[ForbiddenError] = []
    for step in steps:
        try:
            await _step(cluster, ref, step)
        except ForbiddenError as error:
            refused.append(error)
    return tuple(refused)


async def _step(cluster: Cluster, ref: WorkloadRef, step: HistoryStep) -> None:
    resource, space = kind_of(ref).history.resource, ref.namespace
    match step:
        case Remove():
            with contextlib.suppress(NotFoundError):
                await cluster.delete(resource, step.name, space, uid=step.uid)
        case Change():
            form: PatchType = "json-patch" if isinstance(step.body, list) else "merge"
            await cluster.patch(
                resource,
                step.name,
                space,
                step.body,
                type=form,
                resource_version=step.version,
                manager=_CONTROLLER,
            )
        case Make():
            with contextlib.suppress(ChangedError):  # it is there already
                await cluster.create(resource, step.body, space)
        case _:
            assert_never(step)


async def _set_numbers(cluster: Cluster, originals: Originals) -> None:
    ref, history = originals.ref, kind_of(originals.ref).history
    releases = await list_releases(cluster, ref, originals.uid)
    for step in history.renumber(originals, releases):
        await _step(cluster, ref, step)
    if history.label and originals.revision.isdigit():
        numbers = history.numbers(await list_releases(cluster, ref, originals.uid)).values()
        newest = max((int(number) for number, _ in numbers if number.isdigit()), default=0)
        if newest:
            await _await_number(cluster, ref, history.label, str(newest))


async def _await_number(cluster: Cluster, ref: WorkloadRef, label: str, newest: str) -> None:
    """Wait until the controller has copied the newest number to the workload."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SETTLE):
            states = cluster.watch_one(*ref.path)
            async with contextlib.aclosing(states):
                async for item in states:
                    notes = item["metadata"].get("annotations") or {} if item else {label: newest}
                    if notes.get(label) == newest:
                        return
    body = {"metadata": {"annotations": {label: newest}}}
    await cluster.patch(*ref.path, body, manager=_CONTROLLER)

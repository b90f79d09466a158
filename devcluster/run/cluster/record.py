"""Who holds a workload: one record in its Secret, written with compare-and-swap.

Of two laptops that want it at the same moment the API server lets one win; the other reads the winner's name.
The epoch rises with each holder, and agents obey the highest that they have seen, so a laptop that wakes up
after somebody took over has no say any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from devcluster.config.model import Project
from devcluster.edge.kube.agent import list_owners
from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Cluster, Json
from devcluster.edge.kube.swap import Patch, Write, swap
from devcluster.errors import HeldError, NotFoundError
from devcluster.rules.cluster.identity import WorkloadRef, means
from devcluster.rules.cluster.marks import (
    KIND_LABEL,
    SELECTOR,
    Holder,
    Originals,
    Record,
    encode_files,
    parse_originals,
    parse_record,
    render_record,
    render_time,
    secret_name,
)

_Change = Callable[[Record], Record]


@dataclass(frozen=True, slots=True)
class Mark:
    """An installation.  ``uid``: the workload's."""

    ref: WorkloadRef
    container: str
    uid: str
    record: Record
    originals: Originals = field(repr=False)


def holder_row(record: Record) -> Json | None:
    """Who holds it, as `status` and `list` show it; None where nobody does."""
    holder = record.holder
    if holder is None:
        return None
    return {"user": holder.user, "host": holder.host, "project": holder.project, "since": record.since}


async def acquire(cluster: Cluster, ref: WorkloadRef, holder: Holder, *, takeover: bool = False) -> Record:
    """Write *holder* into the record, with an epoch higher than any before; return the record.

    HeldError where somebody else holds it and *takeover* is False.  The same holder may acquire it again.
    """

    def change(record: Record) -> Record:
        if record.holder not in (None, holder) and not takeover:
            raise held(record)
        # Not 1 in a new Secret: an epoch also tells apart who held it before the agent was installed anew.
        now = time.time()
        return Record(max(record.epoch + 1, int(now)), holder, render_time(now))

    return await _write(cluster, ref, change)


def held(record: Record) -> HeldError:
    """Who holds it, and since when."""
    project = record.holder.project if record.holder else ""
    return HeldError(
        f"held by {record.holder} since {record.since} (project {project})",
        hint="`devcluster up --takeover` takes it; the other laptop is told",
    )


async def relinquish(cluster: Cluster, ref: WorkloadRef, epoch: int) -> None:
    """Nobody holds it any more; nothing is done where somebody else has taken it since, or it is gone."""

    def change(record: Record) -> Record:
        if record.epoch != epoch:
            return record
        return Record(record.epoch, last=record.holder or record.last)

    try:
        await _write(cluster, ref, change)
    except NotFoundError:
        return


async def _write(cluster: Cluster, ref: WorkloadRef, change: _Change) -> Record:
    """NotFoundError where nobody has installed an agent."""
    path = ("secret", secret_name(ref), ref.namespace)

    def decide(live: Json | None) -> Write | None:
        if live is None:
            raise NotFoundError(f"secret/{path[1]} in namespace {path[2]} does not exist")
        old = parse_record(live)
        new = change(old)
        return None if new == old else Patch({"data": encode_files({"record.json": render_record(new)})})

    written = await swap(cluster, path, decide)
    assert written is not None
    return parse_record(written)


async def list_marks(cluster: Cluster, namespace: str | None) -> tuple[Mark, ...]:
    """Every installation in *namespace* (None: in all that may be read), sorted."""
    try:
        listing = await cluster.list("secret", namespace, selector=f"{SELECTOR},{KIND_LABEL}")
        marks = [_mark(item) for item in listing.items]
    except ForbiddenError as error:
        marks = await _marks_by_owner(cluster, namespace, error)
    return tuple(sorted((mark for mark in marks if mark), key=lambda one: one.ref))


async def _marks_by_owner(
    cluster: Cluster, namespace: str | None, refused: ForbiddenError
) -> list[Mark | None]:
    """Where Secrets may not be listed: each workload with an agent owns the agent's ConfigMaps, and its name
    gives the Secret's.  *refused* where that may not be read, either."""
    try:
        owners = await list_owners(cluster, namespace)
        return [await find_mark(cluster, ref) for ref in owners]
    except ForbiddenError:
        raise refused from None


async def find_dropped(
    cluster: Cluster, namespace: str, project: Project, holder: Holder, attached: Collection[WorkloadRef]
) -> tuple[Mark, ...]:
    """Like ``dropped``, asked of the cluster."""
    return dropped(await list_marks(cluster, namespace), project, holder, attached)


def dropped(
    marks: Iterable[Mark], project: Project, holder: Holder, attached: Collection[WorkloadRef]
) -> tuple[Mark, ...]:
    """What was *holder*'s and has been taken out of the file; what is *attached* does not count."""

    def known(ref: WorkloadRef) -> bool:
        return ref in attached or any(means(workload.target, ref) for workload in project.workloads)

    return tuple(mark for mark in marks if mark.record.is_of(holder) and not known(mark.ref))


async def find_mark(cluster: Cluster, ref: WorkloadRef) -> Mark | None:
    """One installation; None where there is none."""
    found = await cluster.find("secret", secret_name(ref), ref.namespace)
    return _mark(found) if found is not None else None


def _mark(secret: Json) -> Mark | None:
    originals = parse_originals(secret)
    if originals is None:
        return None
    return Mark(
        ref=originals.ref,
        container=originals.container,
        uid=originals.uid,
        record=parse_record(secret),
        originals=originals,
    )

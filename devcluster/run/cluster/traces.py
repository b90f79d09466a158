"""What devcluster has made, found by its marks alone: without the file, on any machine.

An installation is known by its Secret.  That is not enough: ``up`` publishes the agent's binary before it
writes the Secret, and ``down`` deletes it afterwards, so a process that is killed in between leaves
ConfigMaps that no Secret mentions.  They name their workloads as owners.  A workload that is deleted takes
its Secret along, but not the Services that lead to its agent: a note on them says so.  And a Secret that
somebody deleted by hand leaves a template with an agent in it.

A project on this laptop is known by the label of its Docker objects or by its state folder; its id tells
whether it belongs to this context and namespace.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from devcluster.edge.docker.engine import open_engine
from devcluster.edge.kube.agent import list_owners
from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Cluster
from devcluster.errors import EngineError
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.marks import Record
from devcluster.rules.cluster.service_patch import noted_workload
from devcluster.rules.cluster.template import is_wrapped
from devcluster.rules.kinds.table import KINDS
from devcluster.run.cluster.record import list_marks
from devcluster.run.place import Place, known_projects, places_of


@dataclass(frozen=True, slots=True, order=True)
class Trace:
    """A workload in the cluster that has something of devcluster's.  ``record``: who holds it, and since
    when."""

    ref: WorkloadRef
    record: Record = field(default=Record(), compare=False)

    @property
    def project(self) -> str:
        """Whose it is; '' if nobody holds it."""
        return self.record.holder.project if self.record.holder is not None else ""


async def find_traces(cluster: Cluster, namespace: str | None) -> tuple[Trace, ...]:
    """Those of *namespace* (None: of all that may be read).  ForbiddenError where the Secrets can't be found
    in any way; the other kinds only show what a Secret does not."""
    found: dict[WorkloadRef, Trace] = {}
    for look in (list_owners, _led, _wrapped):
        with contextlib.suppress(ForbiddenError):
            found |= {ref: Trace(ref) for ref in await look(cluster, namespace)}
    for mark in await list_marks(cluster, namespace):
        found[mark.ref] = Trace(mark.ref, mark.record)
    return tuple(sorted(found.values()))


async def find_all_traces(cluster: Cluster, namespace: str) -> tuple[tuple[Trace, ...], tuple[str, ...]]:
    """Those of every namespace that may be read, and a note where not all are known.

    ForbiddenError where none may be read.  *namespace*: the one that is known in any case.
    """
    with contextlib.suppress(ForbiddenError):
        return await find_traces(cluster, None), ()
    notes: tuple[str, ...] = ()
    try:
        names = [item["metadata"]["name"] for item in (await cluster.list("namespace")).items]
    except ForbiddenError:
        names = [namespace]
        notes = (
            f"only namespace {namespace} was searched: these rights don't allow listing namespaces; "
            "-n names another",
        )
    found: list[Trace] = []
    refusals: list[ForbiddenError] = []
    for name in names:
        try:
            found += await find_traces(cluster, name)
        except ForbiddenError as error:
            refusals.append(error)
    if len(refusals) == len(names):
        raise refusals[0]
    return tuple(found), notes


async def _led(cluster: Cluster, namespace: str | None) -> tuple[WorkloadRef, ...]:
    """Workloads whose agents Services lead to."""
    services = (await cluster.list("service", namespace)).items
    return tuple(ref for item in services if (ref := noted_workload(item)) is not None)


async def _wrapped(cluster: Cluster, namespace: str | None) -> tuple[WorkloadRef, ...]:
    """Workloads with an agent in their template."""
    found: list[WorkloadRef] = []
    for kind in KINDS:
        with contextlib.suppress(ForbiddenError):
            found += [
                WorkloadRef(kind, item["metadata"]["namespace"], item["metadata"]["name"])
                for item in (await cluster.list(kind, namespace)).items
                if is_wrapped(item["spec"]["template"])
            ]
    return tuple(found)


async def find_places(
    context: str, namespaces: Collection[str], environ: Mapping[str, str]
) -> tuple[Place, ...]:
    """The projects of this laptop in *namespaces*.  A laptop without an engine has only its folders."""
    known = set(known_projects(environ))
    with contextlib.suppress(EngineError):
        async with open_engine() as engine:
            known |= set(await engine.list_projects())
    return places_of(known, context, namespaces, environ)

"""Which of the installed workloads a ``down`` means: the file's, those named on the command line, or all.

A name is a key of the file, or a workload of the cluster that is not in the file, or no longer: ``web``, or
``statefulset/web`` where two kinds share a name.  Of those, a target without a kind means what this project
holds or held.  The naive way, to go by the name alone, takes out a teammate's StatefulSet with our
Deployment.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping

from devcluster.config.model import Target
from devcluster.config.read.forms import parse_target
from devcluster.deadline import Deadline
from devcluster.edge.kube.cluster import Cluster
from devcluster.edge.kube.workload import find_kinds
from devcluster.errors import ConfigurationError
from devcluster.rules.cluster.identity import WorkloadRef, find_meant, means, parse_title
from devcluster.run.cluster.holders import own_holder
from devcluster.run.cluster.traces import Trace, find_all_traces, find_traces
from devcluster.run.commands.project import place_in
from devcluster.run.host.socket import AbsentError, EndedError, ask
from devcluster.run.place import Place
from devcluster.run.report import silent
from devcluster.run.request import Request, check_names


async def find_installed(
    request: Request, cluster: Cluster, everywhere: bool
) -> tuple[tuple[Trace, ...], tuple[str, ...]]:
    """What is installed in the namespace, or in all of them; and notes."""
    if everywhere:
        return await find_all_traces(cluster, cluster.namespace)
    return await find_traces(cluster, cluster.namespace), ()


async def find_meant_traces(
    request: Request,
    cluster: Cluster,
    everywhere: bool,
    traces: tuple[Trace, ...],
    done: Mapping[tuple[str, str], WorkloadRef],
) -> list[Trace]:
    """The traces of the file's workloads and of the names, or all where there are neither.  *done*: what host
    processes did, and thus what their keys mean."""
    if not request.only and (everywhere or request.project is None):
        return list(traces)
    refs = {trace.ref for trace in traces}
    own = {trace.ref for trace in traces if _is_own(request, cluster, trace)}
    found = set() if request.only else set(own)  # also what was taken out of the file since
    for key, target in _targets(request).items():
        if told := {ref for (name, _), ref in done.items() if name == key}:
            found |= told
            continue
        living: tuple[WorkloadRef, ...] = ()
        if target.kind is None and key not in _taken_out(request) and find_meant(target, refs, refs):
            living = await find_kinds(cluster, target, cluster.namespace)
        found |= set(find_meant(target, refs.union(living), own))
    return [trace for trace in traces if trace.ref in found]


def _targets(request: Request) -> dict[str, Target]:
    """What is meant, by key or by the name on the command line."""
    targets = {name: _target(name) for name in _taken_out(request)}
    return targets | {workload.key: workload.target for workload in request.wanted}


def _target(name: str) -> Target:
    """``web`` or ``statefulset/web``."""
    with contextlib.suppress(ValueError):
        return parse_target(name)
    return Target(name)


def _taken_out(request: Request) -> set[str]:
    """Names that are not in the file, or no longer."""
    written = request.project.workloads if request.project is not None else ()
    return set(request.only) - {workload.key for workload in written}


async def find_unknown(
    request: Request, cluster: Cluster, places: tuple[Place, ...], everywhere: bool
) -> list[str]:
    """Names on the command line for which nothing is installed.  ConfigurationError where there is a file
    that does not have the name either."""
    if not (asked := _taken_out(request)):
        return []
    traces, _ = await find_installed(request, cluster, everywhere)
    refs = {trace.ref for trace in traces}
    known = {name for name in asked if _named(name, refs)} | {ref.name for ref in refs}
    for place in places:
        here = place.workloads | await _attached(place, request.deadline)
        known |= here.keys() | {name for name in asked if _named(name, set(here.values()))}
    if request.project is not None:
        known |= {workload.key for workload in request.project.workloads}
        check_names(sorted(asked), known, str(request.project.file))
    return sorted(asked - known)


async def find_keys(request: Request, place: Place) -> tuple[str, ...]:
    """What the names on the command line are called at *place*, in its host process and in Docker; () for
    all."""
    return find_meant_keys(request.only, place.workloads | await _attached(place, request.deadline))


def find_meant_keys(names: Collection[str], known: Mapping[str, WorkloadRef]) -> tuple[str, ...]:
    """*names* as keys; *known*: what keys mean.  One that none of them means is a key itself, or, of
    another state folder, the name of its workload."""
    found = set(names)
    for name in names:
        if name not in known:
            keys = {key for key, ref in known.items() if means(_target(name), ref)}
            found |= keys or {_target(name).name} - known.keys()
    return tuple(sorted(found))


async def _attached(place: Place, deadline: Deadline) -> dict[str, WorkloadRef]:
    """By key; {} where no host process is running."""
    rows: list[dict[str, str]] = []
    with contextlib.suppress(AbsentError, EndedError):
        rows = (await ask(place.socket, {"do": "status"}, silent, deadline))["workloads"]
    titles = {row["name"]: row["target"].rpartition("/")[0] for row in rows}
    return {key: parse_title(title, place.namespace) for key, title in titles.items()}


def _named(name: str, refs: Collection[WorkloadRef]) -> bool:
    """Whether *name* means any of *refs*.  ConfigurationError where it may mean two in one namespace."""
    found = find_meant(_target(name), refs, refs)
    for ref in found:
        same = [str(it) for it in found if it.namespace == ref.namespace]
        if len(same) > 1:
            raise ConfigurationError(
                f"{name} may mean {' or '.join(same)} in namespace {ref.namespace}",
                hint=f"say which: `devcluster down {same[0]}`",
            )
    return bool(found)


def _is_own(request: Request, cluster: Cluster, trace: Trace) -> bool:
    """Whether this very project holds it, or was the last to hold it."""
    if request.project is None:
        return False
    return trace.record.is_of(own_holder(place_in(cluster, request, trace.ref.namespace)))

"""``leave`` and ``down``, with a host process or without one.

A running host process is asked: it can hand over without a failed request.  What it does not hold, or
everything if none is running, is found by its marks in the namespace and by its labels in Docker.  What
somebody else is working on at this moment is left to them, unless it is named, or there is no file to say
what is meant.
"""

from __future__ import annotations

import contextlib
from typing import Any

from devcluster.edge.docker.engine import Docker, open_docker
from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Cluster, open_cluster
from devcluster.errors import (
    DevclusterError,
    HeldError,
    LeftoverError,
    RemainsError,
    UnservedError,
    joined,
)
from devcluster.rules.cluster.identity import WorkloadRef, means
from devcluster.run.cluster.holders import own_holder, still_held
from devcluster.run.cluster.record import held
from devcluster.run.cluster.remove import remove
from devcluster.run.cluster.traces import Trace, find_all_traces, find_places
from devcluster.run.commands.selection import find_installed, find_keys, find_meant_traces, find_unknown
from devcluster.run.exports import Exports
from devcluster.run.host.lock import LockedError, lock
from devcluster.run.host.results import end_row, ended_ref
from devcluster.run.host.socket import AbsentError, EndedError, ask
from devcluster.run.place import Place, place_of
from devcluster.run.report import Report
from devcluster.run.request import Request
from devcluster.run.site import gateway_binary
from devcluster.run.turn import Turn
from devcluster.run.volume.removing import Kept, find_unsent, remove_copies
from devcluster.run.volume.roots import remove_roots

Json = dict[str, Any]


async def leave(request: Request, *, report: Report) -> Json:
    """Hand back what is attached; nothing where nothing is."""
    async with open_cluster(request.context, timeout=request.timeout) as cluster:
        place = _place(request, cluster)
    assert place is not None
    try:
        return await ask(
            place.socket,
            {"do": "leave", "only": list(request.only)},
            report,
            request.deadline,
        )
    except AbsentError:
        return {"workloads": [], "notes": ["nothing is attached"]}


async def down(
    request: Request, *, everywhere: bool, volumes: bool, report: Report, takeover: bool = False
) -> Json:
    """Remove everything that devcluster made, and verify it.  LeftoverError names what stays; HeldError, at
    the end, what somebody else holds (with *takeover* that is put back, too)."""
    turn = request.turn(report)
    async with open_cluster(request.context, timeout=request.timeout) as cluster:
        places = await _places(request, cluster, everywhere)
        result: Json = {"workloads": [], "notes": []}
        errors: list[DevclusterError] = []
        done: dict[tuple[str, str], WorkloadRef] = {}  # by the host processes: key and namespace
        keys: dict[str, tuple[str, ...]] = {}
        if unknown := await find_unknown(request, cluster, places, everywhere):
            result["notes"].append(f"devcluster has nothing to put back for {', '.join(unknown)}")
        for place in places:
            keys[place.id] = await find_keys(request, place)
            message = {"do": "down", "only": list(keys[place.id])}
            with contextlib.suppress(AbsentError, EndedError):  # what it did not do is done here
                try:
                    answer = await ask(place.socket, message, report, request.deadline)
                except (RemainsError, UnservedError) as error:
                    errors.append(error)
                    continue
                for row in answer["workloads"]:
                    done[row["name"], place.namespace] = ended_ref(row, place.namespace)
                    result["workloads"].append(row)
        traces, notes = await find_installed(request, cluster, everywhere)
        result["notes"] += notes
        for trace in await find_meant_traces(request, cluster, everywhere, traces, done):
            try:
                if not takeover and await _is_theirs(request, cluster, trace, everywhere):
                    raise _theirs(trace)
                row = await _remove(request, cluster, trace, turn)
            except (HeldError, LeftoverError, UnservedError, ForbiddenError) as error:  # the others go on
                errors.append(error)
                continue
            if trace.ref not in done.values():
                result["workloads"].append(row)
    async with open_docker() as docker:
        for place in places:
            kept = await _clean_docker(docker, place, keys[place.id], volumes)
            kept += await remove_roots(place, keys[place.id], changed=volumes)
            errors += find_unsent(kept)
            result["notes"] += [it.text for it in kept if not it.unsent]
            result["notes"] += Exports(place).remove(keys[place.id])
            if not kept:
                place.forget_workloads(keys[place.id])
    if errors:
        raise joined(errors)
    for place in places:
        if volumes and not keys[place.id]:
            await _forget(place)
    return result


async def _forget(place: Place) -> None:
    """Its folder, unless somebody works with the project again."""
    with contextlib.suppress(LockedError):
        await lock(place.socket, patience=0.1)
        place.remove()


def _theirs(trace: Trace) -> HeldError:
    return HeldError(
        f"{trace.ref} was left alone: {held(trace.record).message}",
        hint="`devcluster down --takeover` puts it back anyway",
    )


async def _is_theirs(request: Request, cluster: Cluster, trace: Trace, everywhere: bool) -> bool:
    """Whether somebody else holds it and is still there."""
    if request.project is None or everywhere or trace.record.holder is None:
        return False
    own = own_holder(place_of(cluster.context, trace.ref.namespace, request.project.name, request.environ))
    holder = trace.record.holder
    if (holder.user, holder.host) == (own.user, own.host):
        return False
    return await still_held(cluster, trace.ref, beats=True)


async def _places(request: Request, cluster: Cluster, everywhere: bool) -> tuple[Place, ...]:
    """The file's project; without a file, all projects of the namespace that this laptop knows."""
    namespace = request.namespace or cluster.namespace
    if request.project is not None and not everywhere:
        return (place_of(cluster.context, namespace, request.project.name, request.environ),)
    namespaces = {namespace}
    if everywhere:
        traces, _ = await find_all_traces(cluster, namespace)
        namespaces |= {trace.ref.namespace for trace in traces}
    return await find_places(cluster.context, namespaces, request.environ)


async def _remove(request: Request, cluster: Cluster, trace: Trace, turn: Turn) -> Json:
    known = next((it.key for it in request.wanted if means(it.target, trace.ref)), "")
    removal = await remove(cluster, trace.ref, turn, known)
    if removal.unserved:
        raise UnservedError(f"{trace.ref} was put back, but does not serve: {removal.unserved}")
    return end_row(known or trace.ref.name, str(trace.ref), removal.notes)


async def _clean_docker(docker: Docker, place: Place, only: tuple[str, ...], volumes: bool) -> list[Kept]:
    """Remove containers, network, and the copies that nobody changed here; return what is kept.  Even a
    project that never used Docker may have something there, from another state folder."""
    engine = await docker.open() if place.uses_docker else await docker.find()
    if engine is None:
        return []
    left = list(await engine.remove_project(place.id, only or None, volumes=False))
    facts = await engine.describe()
    await engine.ensure_gateway_image(gateway_binary(facts.architecture))
    kept = await remove_copies(engine, place, only, changed=volumes)
    if left:
        raise LeftoverError(f"left over in Docker: {', '.join(left)}", hint="`devcluster down` tries again")
    if not only and not kept:
        place.note_docker(False)
    return kept


def _place(request: Request, cluster: Cluster) -> Place | None:
    if request.project is None:
        return None
    namespace = request.namespace or cluster.namespace
    return place_of(cluster.context, namespace, request.project.name, request.environ)

"""``leave`` and ``down``, with a host process or without one.

A running host process is asked: it can hand over without a failed request.  What it does not hold, or
everything if none is running, is found by its marks in the namespace and by its labels in Docker.  What
somebody else is working on at this moment is left to them, unless it is named, or there is no file to say
what is meant.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

from devcluster.edge.docker.engine import Docker, open_docker
from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Cluster
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
from devcluster.run.commands.hosts import leave_all
from devcluster.run.commands.project import find_place, open_meant, place_in
from devcluster.run.commands.selection import find_installed, find_keys, find_meant_traces, find_unknown
from devcluster.run.exports import Exports
from devcluster.run.host.lock import LockedError, lock
from devcluster.run.host.results import end_row, ended_ref
from devcluster.run.host.socket import AbsentError, EndedError, ask
from devcluster.run.place import Place
from devcluster.run.report import Report
from devcluster.run.request import Request
from devcluster.run.site import gateway_binary
from devcluster.run.turn import Turn
from devcluster.run.volume.removing import Kept, find_unsent, find_unsent_folders, remove_copies
from devcluster.run.volume.roots import remove_roots

Json = dict[str, Any]


async def leave(request: Request, *, report: Report) -> Json:
    """Hand back what is attached; nothing where nothing is."""
    if request.project is None:
        return await leave_all(request, report)
    place = await find_place(request)
    message = {"do": "leave", "only": list(request.only)}
    try:
        return await ask(place.socket, message, report, request.deadline)
    except AbsentError:
        return {"workloads": [], "notes": ["nothing is attached"]}


async def down(
    request: Request, *, everywhere: bool, volumes: bool, report: Report, takeover: bool = False
) -> Json:
    """Remove everything that devcluster made, and verify it.  LeftoverError names what stays; HeldError, at
    the end, what somebody else holds (with *takeover* that is put back, too)."""
    removal = _Removal(request, everywhere, request.turn(report))
    async with open_meant(request) as cluster:
        places = await _places(request, cluster, everywhere)
        if unknown := await find_unknown(request, cluster, places, everywhere):
            removal.notes.append(f"devcluster has nothing to put back for {', '.join(unknown)}")
        for place in places:
            await removal.ask_host(place)
        await removal.put_back(cluster, takeover)
        removal.say_if_nothing(cluster)
    async with open_docker() as docker:
        for place in places:
            await removal.clean(docker, place, volumes)
    if removal.errors:
        raise joined(removal.errors)
    for place in places:
        if volumes and not removal.keys[place.id]:
            await _forget(place)
    return {"workloads": removal.rows, "notes": removal.notes}


@dataclass
class _Removal:
    """One `down`: what its host processes did not do, it does by itself.  ``keys``: what is meant, by
    project; ``done``: by the host processes, by key and namespace; ``errors``: what did not work, while the
    rest goes on."""

    request: Request
    everywhere: bool
    turn: Turn
    rows: list[Json] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    errors: list[DevclusterError] = field(default_factory=list)
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    done: dict[tuple[str, str], WorkloadRef] = field(default_factory=dict)

    async def ask_host(self, place: Place) -> None:
        """Have the project's host process put back what it holds, where one runs."""
        keys = self.keys[place.id] = await find_keys(self.request, place)
        message = {"do": "down", "only": list(keys)}
        with contextlib.suppress(AbsentError, EndedError):  # what it did not do is done here
            try:
                answer = await ask(place.socket, message, self.turn.report, self.turn.deadline)
            except (RemainsError, UnservedError) as error:
                self.errors.append(error)
                return
            for row in answer["workloads"]:
                self.done[row["name"], place.namespace] = ended_ref(row, place.namespace)
                self.rows.append(row)

    async def put_back(self, cluster: Cluster, takeover: bool) -> None:
        """What is still in the cluster."""
        traces, notes = await find_installed(self.request, cluster, self.everywhere)
        self.notes += notes
        for trace in await find_meant_traces(self.request, cluster, self.everywhere, traces, self.done):
            try:
                if not takeover and await _is_theirs(self.request, cluster, trace, self.everywhere):
                    raise _theirs(trace)
                row = await _remove(self.request, cluster, trace, self.turn)
            except (HeldError, LeftoverError, UnservedError, ForbiddenError) as error:  # the others go on
                self.errors.append(error)
                continue
            if trace.ref not in self.done.values():
                self.rows.append(row)

    def say_if_nothing(self, cluster: Cluster) -> None:
        """Or a `down` in the wrong namespace looks like one that worked."""
        if not (self.rows or self.notes or self.errors):
            where = "any namespace" if self.everywhere else f"namespace {cluster.namespace}"
            self.notes.append(f"nothing to put back in {where}")

    async def clean(self, docker: Docker, place: Place, volumes: bool) -> None:
        """What the project has on this laptop."""
        keys = self.keys[place.id]
        kept = await _clean_docker(docker, place, keys, volumes)
        kept += await remove_roots(place, keys, changed=volumes)
        kept += find_unsent_folders(place, keys)
        self.errors += find_unsent(kept)
        self.notes += [it.text for it in kept if not it.unsent]
        self.notes += Exports(place).remove(keys)
        if not kept:
            place.forget_workloads(keys)


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
    own = own_holder(place_in(cluster, request, trace.ref.namespace))
    holder = trace.record.holder
    if (holder.user, holder.host) == (own.user, own.host):
        return False
    return await still_held(cluster, trace.ref, beats=True)


async def _places(request: Request, cluster: Cluster, everywhere: bool) -> tuple[Place, ...]:
    """The file's project; without a file, all projects of the namespace that this laptop knows."""
    if request.project is not None and not everywhere:
        return (place_in(cluster, request),)
    namespaces = {cluster.namespace}
    if everywhere:
        traces, _ = await find_all_traces(cluster, cluster.namespace)
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

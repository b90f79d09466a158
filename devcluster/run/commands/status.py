"""``status``: what the host process holds; for the other workloads, what the cluster shows.

The host process knows most and answers at once.  The cluster is asked only for what the host process does not
hold, and for what somebody else has taken.  A host process that was killed can't say so: its record in the
cluster, with nobody behind its socket, does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from devcluster.config.model import Target, Workload
from devcluster.edge.kube.cluster import Cluster
from devcluster.edge.kube.workload import WorkloadObject, check_namespace, find_workload
from devcluster.errors import ConfigurationError, DevclusterError
from devcluster.plan.verdict import Verdict
from devcluster.rules.cluster.identity import WorkloadRef, find_meant, parse_title
from devcluster.rules.cluster.marks import Record, render_time
from devcluster.rules.ports.ports import PortKey
from devcluster.run.attach.drift_watch import read_drift
from devcluster.run.cluster.record import Mark, held, holder_row, list_marks
from devcluster.run.commands.hosts import HostAnswer, ask_host, ask_hosts
from devcluster.run.commands.project import open_meant, place_in
from devcluster.run.host.socket import last_sign
from devcluster.run.place import Place
from devcluster.run.request import Request

Json = dict[str, Any]

_PERIOD = 0.5  # seconds between two looks of a watch
_LOST = "the original serves again when the lease ends; `devcluster up` takes the traffic again"


async def read_status(request: Request, *, verify: bool = False) -> Json:
    """The document of ``status -o json``; *verify* adds ``routes`` to each workload, a Verdict each."""
    async with open_meant(request) as cluster:
        return await _read(cluster, request, "verify" if verify else "status")


async def watch_status(request: Request) -> AsyncGenerator[Json, None]:
    """The document, at once and after each change, without end.  Round trips and bytes don't count as
    changes.

    While the cluster can't be asked the last document is repeated, with ``error``.
    """
    last: Json = {}
    async with open_meant(request) as cluster:
        while True:
            try:
                document = await _read(cluster, request, "status")
            except ConfigurationError:
                raise
            except DevclusterError as error:
                document = last | {"error": str(error)}
            if _lasting(document) != _lasting(last):
                yield document
            last = document
            await asyncio.sleep(_PERIOD)


def _lasting(value: Any) -> Any:
    """*value* without what changes all the time."""
    if isinstance(value, dict):
        return {key: _lasting(item) for key, item in value.items() if key not in ("rtt_ms", "bytes")}
    return [_lasting(item) for item in value] if isinstance(value, list) else value


async def _read(cluster: Cluster, request: Request, do: str) -> Json:
    if request.project is None:
        return await _read_held(cluster, request, do)
    namespace, workloads = cluster.namespace, request.project.workloads
    place = place_in(cluster, request)
    host = await ask_host(place, do)
    marks = await _marks(cluster, namespace, [host.rows.get(it.key) for it in workloads])
    rows = [
        truly(host.rows[workload.key], marks, namespace)
        if workload.key in host.rows
        else await _unheld(cluster, namespace, workload, marks, place, host)
        for workload in workloads
    ]
    beside = host.rows.keys() - {it.key for it in workloads}  # of `devcluster run`, or of a former file
    rows += [truly(host.rows[key], marks, namespace) for key in sorted(beside)]
    if do == "verify":
        for row in rows:
            row.setdefault("routes", _unproven(row))
    head = {"name": request.project.name, "namespace": namespace, "context": cluster.context}
    return head | {"workloads": rows, "tunnels": list(host.tunnels)}


async def _read_held(cluster: Cluster, request: Request, do: str) -> Json:
    """Without a file: all that this laptop holds in the namespace, of each project."""
    namespace = cluster.namespace
    hosts = await ask_hosts(cluster, request.environ, do)
    rows = [row for host in hosts.values() for row in host.rows.values()]
    marks = await _marks(cluster, namespace, rows)
    name = ", ".join(place.name for place in hosts)
    head = {"name": name, "namespace": namespace, "context": cluster.context}
    tunnels = [tunnel for host in hosts.values() for tunnel in host.tunnels]
    return head | {"workloads": [truly(row, marks, namespace) for row in rows], "tunnels": tunnels}


async def _marks(cluster: Cluster, namespace: str, rows: Sequence[Json | None]) -> Mapping[WorkloadRef, Mark]:
    """What is installed, where *rows* of the host process (None: it has none) leave a question."""
    if all(row is not None and row["state"] != "held" for row in rows):
        return {}
    return {mark.ref: mark for mark in await list_marks(cluster, namespace)}


def truly(row: Json, marks: Mapping[WorkloadRef, Mark], namespace: str) -> Json:
    """The cluster knows more than the host process about what somebody else has taken."""
    if row["state"] != "held":
        return row
    mark = marks.get(parse_title(row["target"].rpartition("/")[0], namespace))
    if mark is None or mark.record.holder is None:
        state = "absent" if mark is None else "agent-installed"
        return row | {"state": state, "holder": None, "reason": f"nobody holds it; before: {row['reason']}"}
    return row | {"holder": holder_row(mark.record), "reason": held(mark.record).message}


async def _unheld(
    cluster: Cluster,
    namespace: str,
    workload: Workload,
    marks: Mapping[WorkloadRef, Mark],
    place: Place,
    host: HostAnswer,
) -> Json:
    live, missing = await _live(cluster, namespace, workload)
    mark = mark_of(workload.target, live.ref if live is not None else None, marks)
    state, reason, since = "absent", "", ""
    if mark is not None:
        state, since = "agent-installed", mark.record.since
    if mark is not None and mark.record.holder is not None:
        state, reason = "held", f"held by {mark.record.holder} since {mark.record.since}"
        if host.silence and _ours(mark.record, place):
            state, reason = "failed", f"{host.silence}: {_LOST}"
            if (sign := last_sign(place.socket)) is not None:
                since = render_time(sign)
    drift = await read_drift(cluster, mark.originals) if mark is not None else ()
    if state == "agent-installed" and any(one.effect == "gone" for one in drift):
        state = "absent"
    return {
        "name": workload.key,
        "target": _written(workload.target, live, mark),
        "mode": workload.mode,
        "state": state,
        "since": since,
        "reason": reason or missing,
        "holder": holder_row(mark.record) if mark is not None else None,
        "pods": [],
        "pods_wanted": live.replicas if live is not None else 0,
        "ports": [],
        "volumes": [],
        "rewrites": [],
        "stays": [],
        "drift": [one.text for one in drift],
    }


def _ours(record: Record, place: Place) -> bool:
    from devcluster.run.cluster.holders import (
        own_holder,  # with it come SSH and Docker, half of the command's time
    )

    return record.holder == own_holder(place)


def _unproven(row: Json) -> list[Json]:
    """What nobody here holds has no route to prove, unless it was lost without being let go."""
    if row["state"] != "failed":
        return []
    return [Verdict("*", PortKey(0), "broken", "host process", row["reason"]).row()]


async def _live(cluster: Cluster, namespace: str, workload: Workload) -> tuple[WorkloadObject | None, str]:
    """The workload, or why it can't be found."""
    try:
        return await find_workload(cluster, workload.target, namespace), ""
    except DevclusterError as error:
        if isinstance(error, ConfigurationError):
            await check_namespace(cluster, namespace)
        return None, error.message


def mark_of(target: Target, live: WorkloadRef | None, marks: Mapping[WorkloadRef, Mark]) -> Mark | None:
    """The mark of *live*; if that can't be found, the only one that *target* may mean."""
    if live is not None:
        return marks.get(live)
    meant = find_meant(target, marks)
    return marks[meant[0]] if meant else None


def _written(target: Target, live: WorkloadObject | None, mark: Mark | None) -> str:
    """Kind, name and container; as the file says where neither the cluster nor a mark knows."""
    known = mark or live
    if known is not None:
        return f"{known.ref}/{known.container}"
    return "/".join(part for part in (target.kind, target.name, target.container) if part)

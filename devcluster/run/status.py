"""``status``: what the host process holds, and of the other workloads what stands in the cluster.

The host process knows most and answers at once; the cluster is asked only for what it does not hold, and for
what somebody else has taken.  A host process that was killed can't say so: its record in the cluster, and
nobody behind its socket, do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from devcluster.config.model import Workload
from devcluster.edge.kube.cluster import Cluster, open_cluster
from devcluster.edge.kube.workload import check_namespace, find_workload
from devcluster.errors import ConfigurationError, DevclusterError
from devcluster.plan.proof import Verdict
from devcluster.rules.marks import Record, render_time
from devcluster.rules.ports import PortKey
from devcluster.run.host.drift import read_drift
from devcluster.run.place import Place, place_of
from devcluster.run.report import silent
from devcluster.run.request import Request
from devcluster.run.socket import AbsentError, EndedError, ask, last_sign
from devcluster.run.workload.record import Mark, held, holder_row, list_marks

Json = dict[str, Any]

_PERIOD = 0.5  # seconds between two looks of a watch
_PATIENCE = {"ping": 5.0, "status": 5.0, "verify": 60.0}  # seconds for the host process
_LOST = "the original serves again when the lease is over; `devcluster up` takes it again"


@dataclass(frozen=True, slots=True)
class _Host:
    """What the host process said, by workload; ``silence``: why it said nothing, or ''."""

    rows: dict[str, Json]
    silence: str = ""


async def read_status(request: Request, *, verify: bool = False) -> Json:
    """The document of ``status -o json``; *verify* adds ``routes`` to each workload (plan.proof.Verdict)."""
    async with open_cluster(request.context, timeout=request.timeout) as cluster:
        return await _read(cluster, request, "verify" if verify else "status")


async def watch_status(request: Request) -> AsyncGenerator[Json, None]:
    """The document at once and after each change, without end.  Round trips and bytes are no change.

    While the cluster can't be asked the last document stays, with ``error``.
    """
    last: Json = {}
    async with open_cluster(request.context, timeout=request.timeout) as cluster:
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
    assert request.project is not None
    namespace = request.namespace or cluster.namespace
    name, workloads = request.project.name, request.project.workloads
    place = place_of(cluster.context, namespace, name, request.environ)
    host = await _ask_host(place, do)
    marks: dict[str, Mark] = {}
    if any(host.rows.get(it.key, {"state": "held"})["state"] == "held" for it in workloads):
        marks = {mark.name: mark for mark in await list_marks(cluster, namespace)}
    rows = [
        _truly(host.rows[workload.key], marks.get(workload.target.name))
        if workload.key in host.rows
        else await _unheld(cluster, namespace, workload, marks.get(workload.target.name), place, host)
        for workload in workloads
    ]
    if do == "verify":
        for row in rows:
            row.setdefault("routes", _unproven(row))
    return {"name": name, "namespace": namespace, "context": cluster.context, "workloads": rows}


async def _ask_host(place: Place, do: str) -> _Host:
    try:
        async with asyncio.timeout(_PATIENCE["ping"]):
            await ask(place.socket, {"do": "ping"}, silent)
        async with asyncio.timeout(_PATIENCE[do]):
            rows = (await ask(place.socket, {"do": do}, silent))["workloads"]
    except (AbsentError, EndedError):
        return _Host({}, "the host process does not run any more")
    except TimeoutError:
        return _Host({}, "the host process does not answer")
    return _Host({row["name"]: row for row in rows})


def _truly(row: Json, mark: Mark | None) -> Json:
    """Of what somebody else has taken the cluster knows more than the host process."""
    if row["state"] != "held":
        return row
    if mark is None or mark.record.holder is None:
        state = "absent" if mark is None else "agent-installed"
        return row | {"state": state, "holder": None, "reason": f"nobody holds it; was {row['reason']}"}
    return row | {"holder": holder_row(mark.record), "reason": held(mark.record).message}


async def _unheld(
    cluster: Cluster, namespace: str, workload: Workload, mark: Mark | None, place: Place, host: _Host
) -> Json:
    state, reason, since = "absent", "", ""
    if mark is not None:
        state, since = "agent-installed", mark.record.since
    if mark is not None and mark.record.holder is not None:
        state, reason = "held", f"held by {mark.record.holder} since {mark.record.since}"
        if host.silence and _ours(mark.record, place):
            state, reason = "failed", f"{host.silence}: {_LOST}"
            if (sign := last_sign(place.socket)) is not None:
                since = render_time(sign)
    replicas, target, missing = await _live(cluster, namespace, workload)
    drift = await read_drift(cluster, mark.originals, namespace) if mark is not None else ()
    if state == "agent-installed" and any(one.effect == "gone" for one in drift):
        state = "absent"
    return {
        "name": workload.key,
        "target": f"{mark.kind}/{mark.name}/{mark.container}" if mark else target,
        "mode": workload.mode,
        "state": state,
        "since": since,
        "reason": reason or missing,
        "holder": holder_row(mark.record) if mark is not None else None,
        "pods": [],
        "pods_wanted": replicas,
        "ports": [],
        "volumes": [],
        "rewrites": [],
        "drift": [one.text for one in drift],
    }


def _ours(record: Record, place: Place) -> bool:
    from devcluster.run.workload.holding import (
        own_holder,  # with it come SSH and Docker, half of the command's time
    )

    return record.holder == own_holder(place)


def _unproven(row: Json) -> list[Json]:
    """What nobody here holds has no route to prove, except what was lost without being let go."""
    if row["state"] != "failed":
        return []
    return [Verdict("*", PortKey(0), "broken", "host process", row["reason"]).row()]


async def _live(cluster: Cluster, namespace: str, workload: Workload) -> tuple[int, str, str]:
    """Pods wanted, kind/name/container, ''; of what can't be found no pod, the name as written, and why."""
    try:
        found = await find_workload(cluster, workload.target, namespace)
    except DevclusterError as error:
        if isinstance(error, ConfigurationError):
            await check_namespace(cluster, namespace)
        written = (workload.target.kind, workload.target.name, workload.target.container)
        return 0, "/".join(part for part in written if part), error.message
    return found.replicas, f"{found.kind}/{found.name}/{found.container}", ""

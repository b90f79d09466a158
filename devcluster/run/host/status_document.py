"""The state of what this laptop holds, as ``status -o json`` shows it: names and numbers, never a value."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from devcluster.edge.docker.engine import PublishedPort
from devcluster.rules.cluster.marks import render_time
from devcluster.rules.container.tunnel_rewriting import LOOPBACK
from devcluster.rules.state import PodTruth, see_pod
from devcluster.run.attach.attachment import Attachment
from devcluster.run.host.session import Session

Json = dict[str, Any]


def session_status(session: Session) -> Json:
    """``{"workloads": [...], "tunnels": [...]}`` of the host process."""
    rows = [_workload(session.attachments[key]) for key in sorted(session.attachments)]
    tunnels = [{"address": f"{LOOPBACK}:{it.local}", "to": it.to} for it in session.tunnels]
    return {"workloads": rows, "tunnels": tunnels}


def _workload(attachment: Attachment) -> Json:
    wanted, local = attachment.wanted, attachment.local.sight
    truth, snapshot = attachment.truth, attachment.snapshot
    return {
        "name": attachment.key,
        "target": f"{wanted.title}/{wanted.object.container}",
        "mode": wanted.workload.mode,
        "state": truth.state,
        "since": render_time(truth.since),
        "reason": truth.reason,
        "holder": attachment.tenure.holder | {"since": attachment.tenure.since},
        "pods": [
            _pod(see_pod(pod, snapshot.now), attachment.ways_kind, local.lanes)
            for pod in sorted(snapshot.pods, key=lambda pod: pod.name)
        ],
        "pods_wanted": snapshot.pods_wanted,
        "ports": [_port(port) for port in local.ports],
        "volumes": list(attachment.local.volumes),
        "rewrites": [asdict(made) for made in attachment.local.rewrites],
        "stays": list(wanted.install.staying),
        "drift": [one.text for one in snapshot.drift],
    }


def _port(published: PublishedPort) -> Json:
    port = published.port
    return {
        "container": port.number,
        "protocol": port.protocol,
        "host": published.local,
        "address": published.address,
    }


def _pod(pod: PodTruth, ways: str, lanes: tuple[Json, ...]) -> Json:
    own = [lane for lane in lanes if lane["pod"] == pod.name]
    times = [lane["rtt_ms"] for lane in own]
    return {
        "name": pod.name,
        "state": pod.state,
        "lane": ways if times else "",
        "rtt_ms": min(times) if times else None,
        "bytes": {"sent": sum(it["sent"] for it in own), "received": sum(it["received"] for it in own)},
    }

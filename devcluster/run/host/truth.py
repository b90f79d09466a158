"""The state of what this laptop holds, as ``status -o json`` shows it: names and numbers, never a value."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from devcluster.edge.docker.engine import PublishedPort
from devcluster.rules.marks import render_time
from devcluster.run.host.attachment import Attachment
from devcluster.run.host.podlink import PodLink
from devcluster.run.host.session import Session

Json = dict[str, Any]


def session_status(session: Session) -> Json:
    """``{"workloads": [...]}`` of the host process."""
    rows = [_workload(session.attachments[key]) for key in sorted(session.attachments)]
    return {"workloads": rows}


def _workload(attachment: Attachment) -> Json:
    wanted, local = attachment.wanted, attachment.local
    ports = local.network.netns.ports if local.network.netns is not None else ()
    return {
        "name": attachment.key,
        "target": f"{wanted.title}/{wanted.object.container}",
        "mode": wanted.workload.mode,
        "state": attachment.condition.state,
        "since": render_time(attachment.condition.since),
        "reason": attachment.condition.reason,
        "holder": attachment.claim.holder | {"since": attachment.claim.since},
        "pods": [_pod(attachment, link) for link in _sorted(attachment)],
        "pods_wanted": attachment.condition.pods_wanted,
        "ports": [_port(port) for port in ports],
        "volumes": local.filling.status(),
        "rewrites": [asdict(made) for made in (*local.rewrites, *local.filling.rewrites())],
        "drift": list(attachment.condition.drift),
    }


def _port(published: PublishedPort) -> Json:
    port = published.port
    return {
        "container": port.number,
        "protocol": port.protocol,
        "host": published.host,
        "address": published.address,
    }


def _sorted(attachment: Attachment) -> list[PodLink]:
    return sorted(attachment.links.staying, key=lambda link: link.pod.name)


def _pod(attachment: Attachment, link: PodLink) -> Json:
    lanes = [lane for lane in attachment.local.network.lanes.get("lanes", []) if lane["pod"] == link.pod.name]
    times = [lane["rtt_ms"] for lane in lanes]
    return {
        "name": link.pod.name,
        "state": link.seen,
        "lane": link.ways.kind if times else "",
        "rtt_ms": min(times) if times else None,
        "bytes": {
            "sent": sum(lane["sent"] for lane in lanes),
            "received": sum(lane["received"] for lane in lanes),
        },
    }

"""What an agent is told of its pod: ``agent.json``, from the template before us.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from devcluster.rules.cluster.memory import MEMORY, Admitted
from devcluster.rules.cluster.memory_variables import variable_figures
from devcluster.rules.cluster.services import FrontPort
from devcluster.rules.cluster.template import find_container
from devcluster.rules.container.image import ImageFacts
from devcluster.rules.ports.ports import numbered

Json = dict[str, Any]

_PROTOCOL = 1
_QUEUE = {"connections": 1024, "ms": 60000}  # how many callers wait in the agent, and for how long


def agent_settings(
    template: Json,
    *,
    container: str,
    image: ImageFacts | None,
    fronts: Sequence[FrontPort],
    port: int,
    lease: float,
    admitted: Admitted | None = None,
    live: Sequence[str] = (),
) -> Json:
    """``agent.json``, from the *original* template.  *live*: mounts in which the laptop may change files."""
    target = find_container(template, container)
    lifecycle = target.get("lifecycle") or {}
    grace = template["spec"].get("terminationGracePeriodSeconds")
    settings: Json = {
        "protocol": _PROTOCOL,
        "port": port,
        "lease_ms": round(lease * 1000),
        "ports": [_setting(item) for item in fronts],
        "stop_signal": lifecycle.get("stopSignal") or (image.stop_signal if image else None) or "SIGTERM",
        "grace_ms": (30 if grace is None else grace) * 1000,
        "queue": _QUEUE,
        "memory": MEMORY,
    }
    parts = {
        "post_start": lifecycle.get("postStart"),
        "pre_stop": lifecycle.get("preStop"),
        "startup_probe": target.get("startupProbe"),
        "readiness_probe": target.get("readinessProbe"),
        "liveness_probe": target.get("livenessProbe"),
    }
    settings |= {key: numbered(value, target) for key, value in parts.items() if value}
    figures = [asdict(figure) for figure in variable_figures(target, admitted)]
    settings |= {"figures": figures} if figures else {}
    return settings | ({"sync": list(live)} if live else {})


def _setting(item: FrontPort) -> Json:
    setting: Json = {"port": item.port.number, "protocol": item.port.protocol}
    return setting if item.front is None else setting | {"front": item.front}

"""Pods and workloads as the API server shows them, as far as the rows of the table look."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

BACK_OFF: Json = {"waiting": {"reason": "CrashLoopBackOff"}}
READY: Json = {"type": "Ready", "status": "True"}


def ended(code: int) -> Json:
    return {"terminated": {"exitCode": code, "reason": "Error"}}


def pod(
    name: str = "web-1",
    state: Json | None = None,
    *,
    agent: bool = True,
    ready: bool = True,
    restarts: int = 0,
    last: Json | None = None,
    conditions: tuple[Json, ...] = (),
    labels: Json | None = None,
    **metadata: Any,
) -> Json:
    container = {
        "name": "web",
        "state": {"running": {}} if state is None else state,
        "ready": ready,
        "restartCount": restarts,
        "lastState": last or {},
    }
    status = {
        "phase": "Running",
        "containerStatuses": [container],
        "conditions": [*conditions, *([READY] if ready else [])],
    }
    return {
        "metadata": {"name": name, "labels": labels or {}} | metadata,
        "spec": {"volumes": [{"name": "devcluster-bin"}] if agent else []},
        "status": status,
    }

"""What another ``up`` would make of what is attached."""

from __future__ import annotations

from typing import Any

from devcluster.config.model import Project
from devcluster.run.host.attachment import Attachment
from devcluster.run.host.session import Session

Json = dict[str, Any]


async def session_compare(session: Session, project: Project, only: tuple[str, ...]) -> Json:
    """``{"workloads": [{"name", "title", "state", "outcome"}]}``; ``outcome`` is ``up``'s word."""
    rows = []
    for key, attachment in sorted(session.attachments.items()):
        in_file = any(workload.key == key for workload in project.workloads)
        if only and key not in only:
            continue
        outcome = await _outcome(session, project, attachment) if in_file else "put back"
        wanted = attachment.wanted
        state = attachment.condition.state
        rows.append(
            {
                "name": key,
                "title": wanted.title,
                "state": state,
                "outcome": outcome,
            }
        )
    return {"workloads": rows}


async def _outcome(session: Session, project: Project, current: Attachment) -> str:
    wanted = await session.read(project, current.key)
    if wanted.images.local.facts is None:
        return "changed"  # by an image that is not even here
    other = wanted.ref != current.wanted.ref or current.condition.state in ("failed", "held")
    if other or not wanted.install.adopted or wanted.install.astray:
        return "changed"
    return "changed" if await current.differs(wanted) else "unchanged"

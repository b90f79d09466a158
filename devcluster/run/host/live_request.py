"""`devcluster sync`: one attachment's live volumes, brought over or decided on request."""

from __future__ import annotations

from typing import Any

from devcluster.errors import ConfigurationError, RemainsError
from devcluster.plan.handover import Flush
from devcluster.run.attach.attachment import Attachment
from devcluster.run.turn import Turn

Json = dict[str, Any]


async def sync_one(attachment: Attachment, turn: Turn, side: str, paths: tuple[str, ...]) -> Json:
    """Return its row: ``synced``, and what is in the volumes.  RemainsError where the two sides are not
    alike."""
    live, key = attachment.local.live, attachment.key
    if paths:
        if not live:
            raise ConfigurationError(
                f"{key} has no live volume", hint="`volumes: {NAME: {mode: sync}}` makes one"
            )
        await live.keep(side, paths, turn)
    left: tuple[str, ...] = ()
    if live:
        with turn.phase(key, str(Flush()), Flush().name):
            left = await live.flush(turn)
    if left:
        raise RemainsError(f"{key} is not the same here and in the pod: {'; '.join(left)}", hint=_hint(key))
    rows = [row for row in attachment.local.volumes if row["mode"] == "sync"]
    volumes = [f"{row['name']}: {row['files']} files" for row in rows]
    outcome = "synced" if rows else "unchanged"
    return {"name": key, "outcome": outcome, "detail": [", ".join(volumes) or "it has no live volume"]}


def _hint(key: str) -> str:
    return f"`devcluster sync {key} --keep laptop|pod PATH…` ends conflicts and decides what was held back"

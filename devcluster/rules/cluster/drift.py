"""What somebody has changed back: the template with the agent, the Services that lead to it.

Three values are compared: the one before us, the one we wrote (as the API server gave it back) and the one
now.  A field that we changed and that no longer has our value is drift; a field that we never touched is not
our business.

The naive way, to look for the agent's volume, misses the half revert: `kubectl apply` of the original
manifest gives ``args`` and probes back and leaves our ``command``, and then the application gets its
arguments twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from devcluster.rules.advice.controllers import last_writer
from devcluster.rules.cluster.marks import Originals
from devcluster.rules.cluster.services import PortMove
from devcluster.rules.cluster.template import find_container, is_wrapped
from devcluster.rules.cluster.undo import changed_of_ours
from devcluster.rules.ports.ports import service_port

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Drift:
    """``effect``: ``gone``, no pod will have an agent; ``part``, requests may pass it; ``none``: neither."""

    text: str
    effect: Literal["gone", "part", "none"] = "part"


def template_drift(originals: Originals, item: Json) -> tuple[Drift, ...]:
    """What is no longer as we wrote it in *item*, the workload as it is now; () for nothing."""
    title, live = str(originals.ref), item["spec"]["template"]
    by = _by(item, "spec", "template")
    if not is_wrapped(live):
        return (Drift(f"the template of {title} was put back{by}: its pods have no agent", "gone"),)
    found = [
        Drift(f"{title}: {path} is not as `up` wrote it{by}", _effect(path))
        for path in changed_of_ours(originals.template, originals.wrapped, live)
    ]
    return (*found, *_other_image(originals, live, title))


def _effect(path: str) -> Literal["part", "none"]:
    """A change of limits or variables moves no request."""
    return "none" if ".resources" in path or ".env[" in path else "part"


def _other_image(originals: Originals, live: Json, title: str) -> tuple[Drift, ...]:
    """Somebody released another image: the agent stays, and the local container runs what it ran before.  A
    command that came from the old image is kept until the image is read again."""
    try:
        was, now = (
            find_container(one, originals.container).get("image") for one in (originals.wrapped, live)
        )
    except KeyError:
        return (Drift(f"{title} no longer has a container {originals.container}", "gone"),)
    if was == now:
        return ()
    text = f"{title} now runs {now}, and ran {was} when the agent was installed"
    if not find_container(originals.template, originals.container).get("command"):
        text += "; until the next `devcluster up` the original would start with the former image's command"
    return (Drift(text, "none"),)


def service_drift(moves: Iterable[PortMove], services: Iterable[Json]) -> tuple[Drift, ...]:
    """Services that should lead to the agent and don't."""
    live = {one["metadata"]["name"]: one for one in services}
    return tuple(drift for move in sorted(moves, key=str) for drift in _moved(move, live.get(move.service)))


def _moved(move: PortMove, service: Json | None) -> list[Drift]:
    if service is None:
        return [Drift(f"service/{move.service} is gone")]
    return [
        Drift(
            f"service/{move.service} port {move.port} bypasses the agent and leads to {move.original}"
            f"{_by(service, 'spec', 'ports')}"
        )
        for item in service["spec"].get("ports") or []
        if service_port(item) == move.port and item.get("targetPort") == move.original
    ]


def _by(item: Json, *path: str) -> str:
    writer = last_writer(item, *path)
    return f" (last written by {writer})" if writer else ""

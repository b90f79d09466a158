"""Whether the agent that is installed already does what is wished: then no roll-out is needed.

Its binary may be another one; the protocol, which is in its settings, decides.
"""

from __future__ import annotations

from typing import Any

from devcluster.rules.cluster.template import BIN, ROOT, RUN, find_container, is_wrapped
from devcluster.rules.ports.ports import PortKey, container_port

Json = dict[str, Any]


def fits(
    live: Json, known: Json | None, wrapped: Json, settings: Json, *, container: str, pending: bool
) -> bool:
    """Whether the template *live*, whose agent has the settings *known*, does as *wrapped* and *settings*
    would.  *pending*: the image is not here yet, so it is assumed unchanged."""
    if known is None or not is_wrapped(live):
        return False
    now, then = (find_container(item, container) for item in (live, wrapped))
    if pending:  # a command that the template says stays what it is
        settings = settings | {"stop_signal": known.get("stop_signal")}
        then = then | {"command": now.get("command")}
    return known == settings and _vital(now) == _vital(then) and _volumes(live) == _volumes(wrapped)


def _vital(container: Json) -> tuple[Any, ...]:
    """What the agent needs in the template; somebody may have reverted a part of it."""
    mounts = {mount["mountPath"] for mount in container.get("volumeMounts") or []}
    asked = tuple(_asked(container, probe) for probe in ("startupProbe", "readinessProbe", "livenessProbe"))
    command = (tuple(container.get("command") or ()), tuple(container.get("args") or ()))
    return command, _numbers(container), {path for path in mounts if path.startswith(ROOT)}, asked


def _asked(container: Json, probe: str) -> tuple[Any, ...] | None:
    """Whom kubelet asks; the API server fills in the rest."""
    if probe not in container:
        return None
    where = container[probe].get("httpGet") or {}
    return where.get("path"), where.get("port")


def _numbers(container: Json) -> set[tuple[str, PortKey]]:
    return {(port.get("name", ""), container_port(port)) for port in container.get("ports") or []}


def _volumes(template: Json) -> set[str]:
    return {volume["name"] for volume in template["spec"]["volumes"]} & {BIN, RUN}

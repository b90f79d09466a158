"""The agent's share of the container's memory: added to the limit, or the kernel kills the application.

A limit need not be in the template.  A LimitRange (or a webhook) gives one to each pod that has none, when
the pod is made; then the template says nothing, and an application that nearly fills the default dies because
of the agent.  Any of its pods shows what was given, so that is written into the template, with the share on
top.  Where request and limit are equal both grow, or the pod would lose its QoS class.

Source: https://kubernetes.io/docs/concepts/policy/limit-range/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from devcluster.rules.quantity import parse_quantity, render_bytes

Json = dict[str, Any]

MEMORY = 48 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Admitted:
    """The memory that Kubernetes gave a pod which asked for none, in bytes, without the agent's share.
    ``request`` None: no request."""

    limit: int
    request: int | None = None


def admitted_memory(
    pods: Iterable[Json], container: str, *, wrapped: Callable[[Json], bool]
) -> Admitted | None:
    """Read from the first pod that shows it; *wrapped*: whether its numbers contain the share.  None: no
    limit."""
    for pod in pods:
        for item in pod["spec"]["containers"]:
            resources = item.get("resources") or {}
            limit = (resources.get("limits") or {}).get("memory")
            if item["name"] == container and limit is not None:
                request = (resources.get("requests") or {}).get("memory")
                return _without_share(parse_quantity(limit), request, MEMORY if wrapped(pod) else 0)
    return None


def _without_share(limit: int, request: str | None, share: int) -> Admitted | None:
    if limit <= share:
        return None
    if request is None:
        return Admitted(limit - share)
    asked = parse_quantity(request)
    return Admitted(limit - share, asked - share if asked == limit else asked)


def given_memory(container: Json, admitted: Admitted | None) -> tuple[Json, Json]:
    """Limits and requests of *container*, with the memory that each of its pods is given."""
    resources = container.get("resources") or {}
    limits, requests = dict(resources.get("limits") or {}), dict(resources.get("requests") or {})
    if "memory" not in limits and admitted is not None:
        limits["memory"] = render_bytes(admitted.limit)
        if admitted.request is not None:
            requests.setdefault("memory", render_bytes(admitted.request))
    return limits, requests


def raise_memory(container: Json, admitted: Admitted | None) -> None:
    """Add the share to *container*'s limit, its own or the one it was given; without a limit there is nothing
    to raise."""
    resources = dict(container.get("resources") or {})
    limits, requests = given_memory(container, admitted)
    if "memory" not in limits:
        return
    limit = parse_quantity(limits["memory"])
    if "memory" in requests and parse_quantity(requests["memory"]) == limit:
        requests["memory"] = render_bytes(limit + MEMORY)
    limits["memory"] = render_bytes(limit + MEMORY)
    container["resources"] = resources | {"limits": limits} | ({"requests": requests} if requests else {})

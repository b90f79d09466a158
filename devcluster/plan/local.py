"""What is done on the laptop, as data: the second half of a plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from devcluster.config.model import Order
from devcluster.rules.image import ImageChoice


@dataclass(frozen=True, slots=True)
class LocalStep:
    """A step of the host process.  ``text`` says what, in the imperative."""

    text: str
    cause: str
    undo: str = ""

    def __str__(self) -> str:
        return self.text


def plan_pulls(absent: Iterable[ImageChoice]) -> tuple[LocalStep, ...]:
    """What `up` does first where an image is not here; it ends there where one can't be had."""
    return tuple(
        LocalStep(
            f"pull image {it.source}",
            "pull_policy says so" if it.facts is not None else "this laptop does not have it",
            "keeps it",
        )
        for it in absent
    )


def plan_edit(key: str, title: str) -> tuple[LocalStep, ...]:
    """What is attached already, as the file says now: no roll-out, the original stays as it is."""
    return (
        LocalStep(f"let connections to {title} wait in its pods", "the local container is replaced"),
        LocalStep(
            f"start the local container of {key} anew and wait until it is healthy",
            "devcluster.yaml, the pod or a Service says something else than when it was started",
            "removes it",
        ),
        LocalStep(f"lead the connections of {title} to the laptop", "that is the point", "leads them back"),
    )


def plan_put_back(title: str) -> tuple[LocalStep, ...]:
    return (LocalStep(f"put {title} back", "it does not stand in devcluster.yaml any more"),)


def plan_local(order: Order, key: str, title: str) -> tuple[LocalStep, ...]:
    """From held agents to the local container that gets the traffic, in *order*."""
    hold = LocalStep(f"hold every agent of {title}", "nobody else may take it meanwhile", "lets go")
    gateway = LocalStep(
        f"start the gateway of {key}", "the local container lives in the pod's network", "removes it"
    )
    copy = LocalStep(
        f"copy the pod's volumes of {key}", "private copies are safe to break", "keeps changed copies"
    )
    stop = LocalStep(f"stop the original of {title}", f"order {order}", "starts it again")
    start = LocalStep(
        f"start the local container of {key} and wait until it is healthy", "it takes over", "removes it"
    )
    take = LocalStep(f"lead the connections of {title} to the laptop", "that is the point", "leads them back")
    if order == "stop-first":
        return (hold, gateway, copy, stop, start, take)
    return (hold, gateway, copy, start, take, stop)

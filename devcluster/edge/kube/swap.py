"""Changing an object that others change too: read it, decide, write, and start again if it was changed
meanwhile.

Rules: 1. *decide* is a pure function of the object as it is (None: there is none); it returns what to write,
or None if nothing has to be written.  It is asked again with each new state; if it raises, that is the end.
2. Each write has a precondition, the version that was read, so nobody's change is ever overwritten. 3. The
tries are bounded: an object that keeps changing is an error that says so.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar, assert_never

from devcluster.edge.kube.cluster import Cluster, Json, PatchType
from devcluster.errors import ChangedError, NotFoundError

_TRIES = 10
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Create:
    """Make it, if it still does not exist."""

    body: Json = field(repr=False)


@dataclass(frozen=True, slots=True)
class Patch:
    """Change it."""

    body: Any = field(repr=False)
    type: PatchType = "merge"


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete it."""


Write = Create | Patch | Delete


class Lost(Enum):
    """Somebody else was faster: try again."""

    LOST = "lost"


async def swap(
    cluster: Cluster,
    path: tuple[str, str, str],
    decide: Callable[[Json | None], Write | None],
    *,
    first: Json | None = None,
    dry_run: bool = False,
) -> Json | None:
    """Return the object as it is afterwards, None if it does not exist (any more).

    *path*: kind, name and namespace.  *first*: the object, if it was read a moment ago.  ChangedError where
    it keeps changing.
    """
    known = first

    async def attempt() -> Json | Lost | None:
        nonlocal known
        live, known = known or await cluster.find(*path), None
        write = decide(live)
        if write is None:
            return live
        try:
            return await _write(cluster, path, live, write, dry_run)
        except (ChangedError, NotFoundError):
            return Lost.LOST

    return await until_won(attempt, f"{path[0]}/{path[1]} in namespace {path[2]}")


async def until_won(attempt: Callable[[], Awaitable[T | Lost]], what: str) -> T:
    """The first result of *attempt* that is not ``LOST``; ChangedError where it always is."""
    for _ in range(_TRIES):
        if not isinstance(answer := await attempt(), Lost):
            return answer
    raise ChangedError(f"{what} keeps changing")


async def _write(
    cluster: Cluster, path: tuple[str, str, str], live: Json | None, write: Write, dry_run: bool
) -> Json | None:
    kind, name, namespace = path
    version = live["metadata"]["resourceVersion"] if live is not None else None
    match write:
        case Create():
            return await cluster.create(kind, write.body, namespace)
        case Patch():
            return await cluster.patch(
                *path, write.body, type=write.type, resource_version=version, dry_run=dry_run
            )
        case Delete():
            await cluster.delete(kind, name, namespace, resource_version=version)
            return None
        case _:
            assert_never(write)

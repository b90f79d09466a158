"""What is told of a failure: the cause alone if nothing was changed, otherwise also that everything was put
back.

A failure that stops `up` half-way and was put back ends with 1, whoever is to blame: a script that sees 4 or
5 may assume that nothing had begun.  The cause is in the text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from devcluster.errors import (
    DevclusterError,
    FailedError,
    HeldError,
    LeftoverError,
    RemainsError,
    UnservedError,
    first_of,
    joined,
)
from devcluster.run.cluster.install import BusyError


@dataclass(slots=True)
class Attempt:
    """``begun``: something may have been changed, so there is something to put back."""

    begun: bool

    def begin(self) -> None:
        self.begun = True


@dataclass(frozen=True, slots=True)
class Failure:
    """``error``: what to tell; ``expected``: it says all that there is to say, otherwise what broke is raised
    on."""

    error: DevclusterError
    expected: bool


def failure_of(broken: BaseException) -> Failure:
    """What stopped an attempt: an error, an interruption, or a bug, whose text may hold a value."""
    cause = first_of(broken)
    if isinstance(cause, DevclusterError):
        return Failure(cause, True)
    interrupted = isinstance(cause, asyncio.CancelledError)
    return Failure(FailedError("interrupted" if interrupted else _bug(cause)), False)


def is_theirs(cause: DevclusterError) -> bool:
    """Whether what is in the cluster is somebody else's."""
    return isinstance(cause, HeldError | BusyError)


def put_back_error(cause: DevclusterError, put_back: str) -> DevclusterError:
    """*cause*, and that *put_back*; a conflict says itself what became of it."""
    if is_theirs(cause) or isinstance(cause, LeftoverError):
        return cause
    return FailedError(f"{cause}; {put_back}", hint=cause.hint)


def left_error(cause: DevclusterError, second: BaseException, title: str, namespace: str) -> DevclusterError:
    """*second*: why it could not be put back after *cause*."""
    because = str(second) if isinstance(second, DevclusterError) else _bug(second)
    return LeftoverError(
        f"{cause}; putting {title} back failed too: {because}",
        hint=f"`devcluster down -n {namespace}` finishes it",
    )


def _bug(error: BaseException) -> str:
    return f"a bug: {type(error).__name__}"


def remains_of(title: str, unsent: Sequence[str], other: RemainsError | None) -> RemainsError | None:
    """What live volumes could not bring over (*unsent*), and *other*."""
    if not unsent:
        return other
    error = RemainsError(
        f"{title} is handed back, but not everything that was written here is in the pod:"
        f" {'; '.join(unsent)}",
        hint="the copy on this laptop stays, and `devcluster up` goes on with it; "
        "`devcluster sync WORKLOAD --keep laptop|pod PATH…` decides then",
    )
    if other is None:
        return error
    both = joined([error, other])
    assert isinstance(both, RemainsError)
    return both


def end_notes(title: str, remains: RemainsError | None, unserved: str, *, tolerant: bool) -> list[str]:
    """What is to be said of a workload that was let go of: what *remains*, and why the original does not
    serve.  Each is an error, unless *tolerant*."""
    if not tolerant and remains is not None:
        raise remains
    if not tolerant and unserved:
        raise UnservedError(f"{title} was handed back, but does not serve: {unserved}")
    notes = [] if remains is None else [str(remains)]
    return [*notes, *([f"it does not serve: {unserved}"] if unserved else [])]


def ending_error() -> FailedError:
    """Of what is asked of a host process that is ending."""
    return FailedError("devcluster's background process is shutting down", hint="run the command again")

"""What is told of a failure: the cause alone if nothing was changed, otherwise also that everything was put
back.

A failure that stops `up` half-way and was put back ends with 1, whoever is to blame: a script that sees 4 or
5 may assume that nothing had begun.  The cause is in the text.
"""

from __future__ import annotations

from dataclasses import dataclass

from devcluster.errors import DevclusterError, FailedError, HeldError, LeftoverError
from devcluster.run.cluster.install import BusyError


@dataclass(slots=True)
class Attempt:
    """``begun``: something may have been changed, so there is something to put back."""

    begun: bool

    def begin(self) -> None:
        self.begun = True


def put_back_error(cause: DevclusterError, put_back: str) -> DevclusterError:
    """*cause*, and that *put_back*; a conflict says itself what became of it."""
    if isinstance(cause, HeldError | BusyError | LeftoverError):
        return cause
    return FailedError(f"{cause}; {put_back}", hint=cause.hint)


def ending_error() -> FailedError:
    """Of what is asked of a host process that is ending."""
    return FailedError("devcluster's background process is shutting down", hint="run the command again")

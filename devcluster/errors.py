"""Every error that devcluster expects, by whose fault it is; each has its own exit code.

A message says what is wrong and what was seen; the hint says what to do next.  A foreign exception (docker,
kubernetes, asyncssh, OSError) is translated at the wall of its room in ``edge``, with the object named, by
``raise … from``.  Any other exception is a bug.  No message ever holds a value of an environment, only names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

INTERRUPTED = 130
"""The exit code of a command that ^C ended."""

BUG = 3
"""The exit code where the exception is not one of these."""


class DevclusterError(Exception):
    """An expected error.  ``str()`` is the message; ``hint`` the remedy, one or more lines, or ''."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class FailedError(DevclusterError):
    """It did not work and everything was put back."""

    exit_code = 1


class UnservedError(FailedError):
    """Everything was handed back, and the original does not serve (yet): the message says why, and when it
    will."""


class ConfigurationError(DevclusterError):
    """The file or the command line is wrong, or names something that does not exist."""

    exit_code = 2


class FileError(ConfigurationError):
    """Problems of the file: each begins a line with ``file:line:column:``, which editors and CI look for."""


class ClusterError(DevclusterError):
    """The cluster can't be reached or forbids what is needed (verb and resource are named)."""

    exit_code = 4


class NotFoundError(ClusterError):
    """An object that was asked for by name is not in the cluster."""


class ChangedError(ClusterError):
    """An object changed between our reading and our writing (HTTP 409): read again and retry."""


class EngineError(DevclusterError):
    """The Docker engine can't be reached or refuses."""

    exit_code = 5


class HeldError(DevclusterError):
    """Somebody else holds the workload (user, host and since when are in the message)."""

    exit_code = 6


class LeftoverError(DevclusterError):
    """What devcluster made could not be undone; the message names it and the command that finishes."""

    exit_code = 7


class RemainsError(LeftoverError):
    """The application is as it was before; only what the message names is left beside it."""


def first_of(error: BaseException) -> BaseException:
    """The first exception of a group that is not a group itself."""
    return first_of(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def kind_of(error: DevclusterError) -> type[DevclusterError]:
    """The nearest class of this module: it has the exit code, and takes a message and a hint."""
    return next(it for it in type(error).__mro__ if it.__module__ == __name__)


def joined(errors: Sequence[DevclusterError]) -> DevclusterError:
    """One error for all, with every message and every hint.  Its exit code is the gravest: something that is
    left over is worse than something that was put back."""
    if len(errors) == 1:
        return errors[0]
    gravest = max(errors, key=lambda error: (error.exit_code, not isinstance(error, RemainsError)))
    messages = dict.fromkeys(error.message for error in errors)
    hints = dict.fromkeys(line for error in errors for line in error.hint.splitlines())
    return kind_of(gravest)("; ".join(messages), hint="\n".join(hints))

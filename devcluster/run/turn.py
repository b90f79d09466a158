"""What one command works with: whom it tells of its progress, and how long it may take.

It is passed on by value.  The naive way, one context that commands take turns in writing to, makes `leave`
wait for as long as the last `up` was allowed to.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from devcluster.deadline import Deadline
from devcluster.run.report import Progress, Report, silent

_UNDO = 60.0  # seconds that putting back has in any case


@dataclass(frozen=True, slots=True)
class Turn:
    """*report* is shown to whoever asked; *deadline* is theirs."""

    deadline: Deadline
    report: Report = silent

    @staticmethod
    def of(timeout: float, report: Report = silent, *, fixed: bool = True) -> Turn:
        """A turn of *timeout* seconds that begins now."""
        return Turn(Deadline.after(timeout, fixed=fixed), report)

    def say(self, subject: str, text: str) -> None:
        """Tell one line of progress of the workload *subject*."""
        self.report(Progress(subject, text))

    def stretched(self, seconds: float) -> Turn:
        """For a workload that needs *seconds* by its own figures."""
        return Turn(self.deadline.stretched(seconds), self.report)

    @contextlib.contextmanager
    def phase(self, subject: str, text: str, name: str, *, ended: str = "") -> Iterator[None]:
        """Tell when the block begins and when it has ended, with the time that it took; *ended*: what to say
        then.  A phase that fails has no end: the error says so."""
        began = time.monotonic()
        self.report(Progress(subject, text, phase=name))
        yield
        self.report(Progress(subject, ended or text, phase=name, seconds=time.monotonic() - began))

    def to_undo(self) -> Turn:
        """A turn for putting back what this one began."""
        return Turn(self.deadline.at_least(_UNDO), self.report)

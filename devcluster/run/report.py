"""How a long command tells what it is doing.

One callable takes lines for the user; where a step has a size, ``Progress`` says how far it has come.  The
host process of ``up -d`` sends the same values over its socket, so both print alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """One line of progress.  ``subject``: the workload's key or ''.  ``phase``: the name of the phase that
    begins; with ``seconds``, what it took, it has ended.  ``done``/``total`` in ``unit``, or 0, of what
    travels: ``item``, with so many ``files``; ``moved``: bytes, where the unit is another, of ``moved_total``
    where that is known."""

    subject: str
    text: str
    done: int = 0
    total: int = 0
    unit: str = ""
    phase: str = ""
    seconds: float | None = None
    item: str = ""
    files: int = 0
    files_total: int = 0
    moved: int = 0
    moved_total: int = 0

    @property
    def travels(self) -> bool:
        """Whether it says how far something has come."""
        return bool(self.total or self.item)


Report = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """For callers that want no progress."""

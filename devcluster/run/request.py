"""What a command asks for, after the file and the options have been read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from devcluster.config.model import Project, Workload
from devcluster.deadline import Deadline
from devcluster.errors import ConfigurationError
from devcluster.run.report import Report, silent
from devcluster.run.turn import Turn


@dataclass(frozen=True, slots=True)
class Request:
    """``project`` None: there is no file (``down`` and ``list`` work without).  ``only``: the workloads named
    on the command line, () for all.  ``deadline``: of the whole command."""

    project: Project | None
    context: str | None
    namespace: str | None
    only: tuple[str, ...] = ()
    deadline: Deadline = field(default_factory=lambda: Deadline.after(300.0))
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def timeout(self) -> float:
        """How many seconds the command still has."""
        return self.deadline.left()

    def turn(self, report: Report = silent) -> Turn:
        """What the command works with."""
        return Turn(self.deadline, report)

    @property
    def wanted(self) -> tuple[Workload, ...]:
        """The workloads of the file that are meant."""
        if self.project is None:
            return ()
        return tuple(it for it in self.project.workloads if not self.only or it.key in self.only)


def check_names(asked: Sequence[str], known: Collection[str], where: str) -> None:
    """ConfigurationError for the first of *asked* that *where* does not have."""
    for name in asked:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"it has: {', '.join(sorted(known)) or 'none'}"
            raise ConfigurationError(f"{where} has no workload {name!r}", hint=hint)

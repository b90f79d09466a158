"""What a command asks for, after the file and the options have been read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from devcluster.config.model import Project, Workload


@dataclass(frozen=True, slots=True)
class Request:
    """``project`` None: there is no file (``down``, ``list``, ``status`` may go without).
    ``only``: the workloads named on the command line, () for all.  ``timeout``: seconds."""

    project: Project | None
    context: str | None
    namespace: str | None
    only: tuple[str, ...] = ()
    timeout: float = 300.0
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def wanted(self) -> tuple[Workload, ...]:
        """The workloads of the file that are meant."""
        if self.project is None:
            return ()
        return tuple(it for it in self.project.workloads if not self.only or it.key in self.only)

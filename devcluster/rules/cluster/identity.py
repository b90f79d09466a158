"""Which workload: kind, namespace and name, always together.

A Deployment and a StatefulSet may have one name, and both may have an agent.  With a bare name, or a kind in
some places only, ``status`` shows the wrong one's holder and ``down`` removes the wrong one's agent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from devcluster.config.model import Target


@dataclass(frozen=True, slots=True, order=True)
class WorkloadRef:
    """``kind`` as a target names it, ``deployment``.  As text ``deployment/web``: its title."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def path(self) -> tuple[str, str, str]:
        """Kind, name and namespace, as ``edge.kube`` asks for an object."""
        return self.kind, self.name, self.namespace

    def kubectl(self, command: str) -> str:
        """The line to type: *command*, for this workload."""
        return f"kubectl {command} {self} -n {self.namespace}"

    @property
    def full_name(self) -> str:
        """For messages: the title, and where."""
        return f"{self} in namespace {self.namespace}"


def parse_title(title: str, namespace: str) -> WorkloadRef:
    """The inverse of ``str``.  ValueError where *title* is none."""
    kind, between, name = title.partition("/")
    if not (kind and between and name) or "/" in name:
        raise ValueError(f"{title!r} is not kind/name")
    return WorkloadRef(kind, namespace, name)


def means(target: Target, ref: WorkloadRef) -> bool:
    """Whether *target* may mean *ref*: one without a kind means every workload of its name."""
    return target.name == ref.name and target.kind in (None, ref.kind)


def find_meant(
    target: Target, known: Iterable[WorkloadRef], own: Collection[WorkloadRef] = ()
) -> tuple[WorkloadRef, ...]:
    """Those of *known* that *target* means, sorted.  If it says no kind and workloads of several kinds have
    its name, only those of *own*: the others are somebody else's."""
    found = sorted(ref for ref in set(known) if means(target, ref))
    if len({ref.kind for ref in found}) > 1:
        found = [ref for ref in found if ref in own]
    return tuple(found)

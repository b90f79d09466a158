"""What is done in the cluster, as data: one value a step, with its cause and what undoes it.

A step holds names, never values, because `plan` prints it.  ``Step`` is what the steps of all rooms have in
common.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.services import PortMove
from devcluster.rules.container.image import ImageChoice


class Step(Protocol):
    """Anything that a plan can hold."""

    @property
    def cause(self) -> str:
        """Why it is needed."""

    @property
    def undo(self) -> str:
        """What takes it back, in words; '' if nothing has to."""

    def __str__(self) -> str: ...


def name_of(step: Step) -> str:
    """``publish-agent``, as a handover's phases are called."""
    return re.sub(r"(?<=.)([A-Z])", r"-\1", type(step).__name__).lower()


@dataclass(frozen=True, slots=True)
class PublishAgent:
    namespace: str
    chunks: tuple[str, ...]
    cause: str
    undo: str = "deletes them when no workload uses them"

    def __str__(self) -> str:
        return f"publish the agent as {len(self.chunks)} ConfigMaps in namespace {self.namespace}"


@dataclass(frozen=True, slots=True)
class WriteSecret:
    namespace: str
    secret: str
    cause: str
    undo: str = "deletes it"

    def __str__(self) -> str:
        return f"write secret/{self.secret} (keys, settings, the original state)"


@dataclass(frozen=True, slots=True)
class PatchTemplate:
    ref: WorkloadRef
    container: str
    cause: str
    undo: str = "restores the pod template, with a roll-out"

    def __str__(self) -> str:
        return f"start container {self.container} of {self.ref} through the agent, with a roll-out"


@dataclass(frozen=True, slots=True)
class AwaitPods:
    ref: WorkloadRef
    cause: str
    undo: str = ""

    def __str__(self) -> str:
        return f"wait until every pod of {self.ref} runs its agent"


@dataclass(frozen=True, slots=True)
class RestoreFields:
    ref: WorkloadRef
    fields: tuple[str, ...]
    cause: str
    undo: str = ""

    def __str__(self) -> str:
        return f"put {' and '.join(self.fields)} of {self.ref} back"


@dataclass(frozen=True, slots=True)
class PatchService:
    namespace: str
    service: str
    moves: tuple[PortMove, ...]
    cause: str
    undo: str = "restores the targetPort before it rolls back"

    def __str__(self) -> str:
        ports = ", ".join(f"{move.port}: {move.original} to {move.front}" for move in self.moves)
        return f"point service/{self.service} to the agent ({ports})"


@dataclass(frozen=True, slots=True)
class RestoreService:
    namespace: str
    service: str
    moves: tuple[PortMove, ...]
    cause: str
    undo: str = ""

    def __str__(self) -> str:
        ports = ", ".join(f"{move.port}: {move.front} to {move.original}" for move in self.moves)
        return f"point service/{self.service} to the application ({ports})"


@dataclass(frozen=True, slots=True)
class RestoreTemplate:
    ref: WorkloadRef
    container: str
    cause: str
    undo: str = ""

    def __str__(self) -> str:
        return f"restore the pod template of {self.ref}, with a roll-out"


@dataclass(frozen=True, slots=True)
class AwaitRollout:
    ref: WorkloadRef
    cause: str
    undo: str = ""

    def __str__(self) -> str:
        return f"wait until {self.ref} is rolled out"


@dataclass(frozen=True, slots=True)
class PruneHistory:
    ref: WorkloadRef
    cause: str
    undo: str = ""

    def __str__(self) -> str:
        return f"remove devcluster's revisions from the history of {self.ref}"


@dataclass(frozen=True, slots=True)
class DeleteSecret:
    namespace: str
    secret: str
    cause: str
    undo: str = ""

    def __str__(self) -> str:
        return f"delete secret/{self.secret}"


@dataclass(frozen=True, slots=True)
class DeleteAgent:
    namespace: str
    cause: str
    undo: str = ""

    def __str__(self) -> str:
        return f"delete the agent's ConfigMaps in namespace {self.namespace} that nothing uses"


@dataclass(frozen=True, slots=True)
class PullImage:
    image: str
    cause: str
    undo: str = "keeps it"

    def __str__(self) -> str:
        return f"pull image {self.image}"


def plan_pulls(absent: Iterable[ImageChoice]) -> tuple[PullImage, ...]:
    """The pulls that `up` begins with; it fails there if an image can't be had."""
    return tuple(
        PullImage(
            it.source, "pull_policy says so" if it.facts is not None else "this laptop does not have it"
        )
        for it in absent
    )


@dataclass(frozen=True, slots=True)
class PutBack:
    title: str
    cause: str = "it is no longer in devcluster.yaml"
    undo: str = ""

    def __str__(self) -> str:
        return f"put {self.title} back, as `down` does"


InstallStep = (
    PublishAgent | WriteSecret | RestoreService | PatchTemplate | AwaitPods | RestoreFields | PatchService
)
RemoveStep = (
    RestoreService
    | RestoreTemplate
    | AwaitRollout
    | RestoreFields
    | PruneHistory
    | DeleteSecret
    | DeleteAgent
)


def render_steps(steps: Iterable[Step]) -> str:
    """One numbered line a step, with its cause and what undoes it below; '' for no steps."""
    lines = []
    for number, step in enumerate(steps, 1):
        lines.append(f"{number:>2}. {step}")
        lines.append(f"    because {step.cause}")
        if step.undo:
            lines.append(f"    `down` {step.undo}")
    return "\n".join(lines)

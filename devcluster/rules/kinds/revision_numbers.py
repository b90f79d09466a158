"""The numbers of a Deployment's revisions, as if we had never been there.

The controller numbers ReplicaSets upwards and only ever raises a number, so after our roll-out and the one
back the original is two numbers higher, and ``rollout undo --to-revision`` means something else.  So the
surviving ReplicaSets get the numbers that they would have without us: those from before keep theirs, and
releases made meanwhile follow in their order.

Source: k8s.io/kubernetes pkg/controller/deployment/util/deployment_util.go, SetNewReplicaSetAnnotations
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Numbered:
    """One ReplicaSet: its revision, and the former ones that the controller noted ('' where none)."""

    name: str
    revision: int
    history: str = ""


def renumber(
    survivors: Sequence[Numbered], *, current: int, before: Mapping[str, tuple[str, str]]
) -> tuple[Numbered, ...]:
    """The numbers of *survivors*.  *current*: the revision when we came; *before*: all revisions then."""
    result = []
    following = current + 1
    newer = False
    for item in sorted(survivors, key=lambda one: one.revision):
        was, history = before.get(item.name, ("", ""))
        if item.revision <= current:
            result.append(Numbered(item.name, item.revision, history if was else item.history))
        elif was == str(current) and not newer:
            newer = True
            result.append(Numbered(item.name, current, history))  # raised by our way back alone
        else:
            newer = True
            noted = ",".join(part for part in (history, was) if part)
            result.append(Numbered(item.name, following, noted))
            following += 1
    return tuple(result)

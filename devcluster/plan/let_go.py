"""Every way to let go of a workload, and what goes with it.  Pure.

There are three ways to end what is attached: it is *given up*, since somebody else has it; *handed back*, and
agent, container and volumes stay for the next `up`; or *taken out*, and nothing that we made stays.  After a
failure a workload is *put back*: handed back, and without whatever this attempt made.  The naive way, to undo
what the error seems to call for, takes somebody else's agent out, or leaves ours in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

End = Literal["nothing", "give up", "hand back", "take out"]
"""Of what is attached; ``nothing``: nothing is."""


@dataclass(frozen=True, slots=True)
class LetGo:
    """``agent``: it is taken out of the cluster; ``containers``: the laptop's are removed, not only stopped;
    ``copies``: of the volumes, too."""

    end: End
    agent: bool = False
    containers: bool = False
    copies: bool = False

    def __str__(self) -> str:
        gone = [it for it in ("agent", "containers", "copies") if getattr(self, it)]
        return f"{self.end}; remove {', '.join(gone) or 'nothing'}"


def plan_detach(*, taken: bool, remove_agent: bool) -> LetGo:
    """By `leave`, or with *remove_agent* by `down`.  *taken*: somebody else has it, and what is in the
    cluster is theirs."""
    if taken:
        return LetGo("give up", containers=remove_agent)
    if remove_agent:
        return LetGo("take out", agent=True, containers=True)
    return LetGo("hand back")


def plan_put_back(*, attached: bool, created: bool, theirs: bool) -> LetGo:
    """After a failure.  *attached*: it got that far; *created*: there was no agent before this attempt;
    *theirs*: it failed because somebody else has it, or is just installing the same."""
    return LetGo(
        "hand back" if attached else "nothing",
        agent=created and not theirs,
        containers=created,
        copies=created,
    )

"""What a command makes of one workload: ``created``, ``changed``, ``unchanged``, ``put back`` or ``left``.

`up` does it, `plan` foretells it and the host process compares.  Decided in three places, `plan` promises
what `up` does not do; so each of them asks here.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from devcluster.rules.state import State

Outcome = Literal["created", "changed", "unchanged", "put back", "left"]
Work = Literal["attach", "edit", "nothing", "remove"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is there beside what the file asks for.

    ``in_file``: it is asked for.  ``attached``: its state where this project holds it, else None.
    ``agent_fits``: the agent that is installed does what is asked.  ``astray``: a Service must be led (back)
    to where it belongs. ``same_taking``: target, mode, order and run are what it was attached by.
    ``differs``: the local side does."""

    in_file: bool = True
    attached: State | None = None
    agent_fits: bool = True
    astray: bool = False
    same_taking: bool = True
    differs: bool = False

    @property
    def in_place(self) -> bool:
        """Whether what is attached can stay, so that it is worth asking whether the local side differs."""
        lost = self.attached in (None, "failed", "held", "left")
        return self.in_file and not lost and self.agent_fits and self.same_taking


@dataclass(frozen=True, slots=True)
class Decision:
    """``work``: ``attach`` anew (what is attached is handed back first), ``edit`` what is attached,
    ``remove``. ``lead``: Services are led anew."""

    outcome: Outcome
    work: Work
    lead: bool = False


def end_of(*, removed: bool) -> Outcome:
    """What it is called where nothing is held any more; *removed*: the agent was, too."""
    return "put back" if removed else "left"


def decide(seen: Comparison) -> Decision:
    """What is to be done, and what it is called."""
    if not seen.in_file:
        return Decision(end_of(removed=True), "remove")
    if not seen.in_place:
        return Decision("created" if seen.attached is None else "changed", "attach")
    if seen.differs:
        return Decision("changed", "edit", seen.astray)
    return Decision("changed" if seen.astray else "unchanged", "nothing", seen.astray)

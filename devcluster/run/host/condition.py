"""What is true of one attachment at this moment, why, and since when.

Links, outage and drift each see a part, and any of them may change at any time; so nothing is remembered
here that can be looked at, except how far the attachment has come by its own doing (``phase``).  A state
that is kept and corrected says `attached` of what has been dead for an hour.
"""

from __future__ import annotations

import time
from typing import Literal

from devcluster.rules.drift import SeenState, true_state
from devcluster.run.host.drift import DriftWatch
from devcluster.run.host.links import Links
from devcluster.run.host.mending import Mending

Phase = Literal["starting", "attached", "held", "failed", "left"]
AttachmentState = Literal[
    "starting", "attached", "partial", "reconnecting", "absent", "held", "failed", "left"
]


class Condition:
    """See the module.  ``phase``, ``failure`` (why it ended) and ``taken`` (who holds it now, and since when)
    are the attachment's to set, which calls ``note`` after each change."""

    def __init__(self, key: str, title: str, links: Links, mending: Mending, drift: DriftWatch) -> None:
        self.phase: Phase = "starting"
        self.failure = ""
        self.taken = ""
        self._key = key
        self._title = title
        self._links = links
        self._mending = mending
        self._drift = drift
        self._told: tuple[AttachmentState, float] = ("starting", time.time())  # since when

    @property
    def pods_wanted(self) -> int:
        """As many as the workload says at this moment."""
        return self._drift.replicas

    @property
    def state(self) -> AttachmentState:
        """From the links, where it is our doing no more."""
        if self.phase != "attached":
            return self.phase
        if self._mending.reason:
            return "reconnecting"
        states = [link.seen for link in self._links.staying]
        whole = states.count("attached") == len(states) >= self.pods_wanted
        seen: SeenState = "attached" if whole else "partial"
        if "attached" not in states:
            seen = "reconnecting"
        return true_state(seen, states.count("attached"), self._drift.found)

    @property
    def reason(self) -> str:
        """Why it is not attached; '' if it is."""
        if self.taken or self.failure or self.state == "attached":
            return self.taken or self.failure
        if self.phase == "attached" and self._mending.reason:
            return self._mending.reason
        if self.phase == "attached" and not self._links.staying:
            return self.repair or f"no pod of {self._title} runs an agent"
        reasons = [f"{link.pod.name}: {link.trouble}" for link in self._links.staying if link.trouble]
        found = [*([self.repair] if self.repair else []), *sorted(reasons)]
        if not found and self.phase == "attached":
            ready = sum(link.seen == "attached" for link in self._links.staying)
            found = [f"{ready} of {max(self.pods_wanted, len(self._links.staying))} pods are attached"]
        return "; ".join(found)

    @property
    def since(self) -> float:
        """Since when ``state`` is what it is, in seconds of the epoch."""
        self.note()
        return self._told[1]

    def note(self) -> None:
        """Something may have changed just now.  Nobody announces silence; a link that fell silent knows when
        it did."""
        state, (told, since) = self.state, self._told
        if state != told:
            quiet = max((link.seen_since for link in self._links.staying if link.is_quiet), default=0.0)
            self._told = (state, quiet if quiet > since else time.time())

    @property
    def drift(self) -> tuple[str, ...]:
        """What of ours in the cluster somebody has taken back since."""
        return tuple(one.text for one in self._drift.found)

    @property
    def gone(self) -> tuple[str, ...]:
        """Of that what leaves no pod with an agent."""
        return tuple(one.text for one in self._drift.found if one.effect == "gone")

    @property
    def repair(self) -> str:
        """What of it another `up` is needed for; '' for nothing."""
        found = [one.text for one in self._drift.found if one.effect != "none"]
        return f"{'; '.join(found)}; `devcluster up {self._key}` repairs it" if found else ""

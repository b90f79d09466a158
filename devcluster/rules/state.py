"""What is true of one attachment at a moment: its state, why, and since when.  Pure.

Links, engine and drift each see a part, and any of them may change at any time.  A state that is kept and
corrected says `attached` of what has been dead for an hour.  So nothing is kept: a frozen snapshot of what is
known goes in, state and reason come out.  Only ``since`` needs what was true before.

| what is known | state |
|---|---|
| it is being attached, handed back, failed, taken by somebody | `starting`, `left`, `failed`, `held` |
| the local container ended with 0 and is started again | `starting` |
| the Docker engine is away | `reconnecting` |
| every wanted pod is attached, and nothing leads past the agents | `attached` |
| some pods are, or a Service or a part of the template leads past them | `partial` |
| no pod is | `reconnecting` |
| the template has no agent any more | `absent`; `partial` while an old pod is still attached |
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from devcluster.rules.cluster.drift import Drift

Stage = Literal["starting", "attached", "held", "failed", "left"]
State = Literal["starting", "attached", "partial", "reconnecting", "absent", "held", "failed", "left"]
LinkState = Literal["connecting", "held", "attached", "reconnecting", "lost", "gone"]

SILENT = 1.5  # seconds without a word of the agent, then it can't be said to be attached


@dataclass(frozen=True, slots=True)
class PodSight:
    """One pod's link.  ``heard``: when its agent said anything, ``bare``: since when it has a lane or none,
    ``since``: of ``state``; all in seconds of the epoch.  ``lanes``: how many lead to this laptop."""

    name: str
    state: LinkState
    reason: str = ""
    since: float = 0.0
    heard: float = 0.0
    bare: float = 0.0
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class PodTruth:
    """``quiet``: it is not attached because its agent is silent or has no lane, since ``since``."""

    name: str
    state: LinkState
    reason: str
    since: float
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that is known of one attachment.  ``stage``: how far it has come by its own doing; ``failure``: why
    it ended by itself; ``taken``: who has it now, and since when; ``outage``: why nothing of the local side
    runs; ``ended``: why the local container can't serve any more; ``resting``: that it ended and is started
    again, at ``wakes``; ``lives``: how often that was; ``silent``: where nobody listens; ``pods``: those that
    stay; ``lost``: who has taken one of them; ``now``: seconds of the epoch."""

    key: str
    title: str
    stage: Stage
    pods: tuple[PodSight, ...] = ()
    pods_wanted: int = 1
    failure: str = ""
    taken: str = ""
    lost: str = ""
    outage: str = ""
    ended: str = ""
    resting: str = ""
    wakes: float = 0.0
    lives: str = ""
    silent: tuple[str, ...] = ()
    drift: tuple[Drift, ...] = ()
    leaving: bool = False
    now: float = 0.0


@dataclass(frozen=True, slots=True)
class Truth:
    """``since``: seconds of the epoch."""

    state: State
    reason: str = ""
    since: float = 0.0


def see_pod(pod: PodSight, now: float) -> PodTruth:
    """*pod* as a request finds it: a silent agent, or one without a lane, reaches nobody."""
    if pod.state != "attached":
        return PodTruth(pod.name, pod.state, pod.reason, pod.since)
    if now - pod.heard > SILENT:
        return PodTruth(pod.name, "reconnecting", "its agent can't be heard", pod.heard, quiet=True)
    since = max(pod.since, pod.bare)
    if not pod.lanes:
        return PodTruth(pod.name, "reconnecting", "no lane to this laptop is open", since, quiet=True)
    return PodTruth(pod.name, "attached", "", since)


def judge(seen: Snapshot, before: Truth) -> Truth:
    """What is true now; *before*: what was true last, which says since when."""
    pods = [see_pod(pod, seen.now) for pod in seen.pods]
    state = _state(seen, pods)
    reason = _reason(seen, pods, state)
    if state == before.state:
        return Truth(state, reason, before.since)
    quiet = max((pod.since for pod in pods if pod.quiet), default=0.0)
    return Truth(state, reason, quiet if quiet > before.since else seen.now)


def _state(seen: Snapshot, pods: list[PodTruth]) -> State:
    if seen.stage != "attached":
        return seen.stage
    if seen.outage:
        return "reconnecting"
    attached = sum(pod.state == "attached" for pod in pods)
    effects = {one.effect for one in seen.drift}
    if "gone" in effects:
        return "partial" if attached else "absent"
    if not attached:
        return "reconnecting"
    whole = attached == len(pods) >= seen.pods_wanted
    return "attached" if whole and "part" not in effects else "partial"


def _reason(seen: Snapshot, pods: list[PodTruth], state: State) -> str:
    """Why it is not attached, or where nobody listens for it; '' if all is well."""
    if seen.taken or seen.failure:
        return seen.taken or seen.failure
    if state == "attached":
        return "; ".join([*seen.silent, *([seen.lives] if seen.lives else [])])
    if seen.resting:
        return _resting(seen)
    repair = render_repair(seen)
    if seen.stage == "attached":
        if seen.outage:
            return seen.outage
        if not pods:
            return repair or f"no pod of {seen.title} runs an agent"
    found = [repair] if repair else []
    found += sorted(f"{pod.name}: {pod.reason}" for pod in pods if pod.reason)
    if not found and seen.stage == "attached":
        ready = sum(pod.state == "attached" for pod in pods)
        found = [f"{ready} of {max(seen.pods_wanted, len(pods))} pods are attached"]
    return "; ".join(found)


def _resting(seen: Snapshot) -> str:
    left = math.ceil(seen.wakes - seen.now)
    when = f"in {left} s" if left > 0 else "now"
    return f"{seen.resting}; it is started again {when}, and connections wait in the pods"


def render_repair(seen: Snapshot) -> str:
    """What drifted so that another `up` is needed; '' for nothing."""
    found = [one.text for one in seen.drift if one.effect != "none"]
    return f"{'; '.join(found)}; `devcluster up {seen.key}` repairs it" if found else ""


def render_gone(seen: Snapshot) -> str:
    """What drifted so that no pod will have an agent; '' for nothing."""
    return "; ".join(one.text for one in seen.drift if one.effect == "gone")


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Somebody else has it: this laptop takes and keeps nothing of it.  *reason*: who, and since when."""

    reason: str


@dataclass(frozen=True, slots=True)
class HandBack:
    """The local side can't serve any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Recover:
    """The Docker engine is away: the agents are told, and we wait for it."""

    reason: str


@dataclass(frozen=True, slots=True)
class StartAgain:
    """The local container has ended with 0, as it may."""

    reason: str


Reaction = GiveUp | HandBack | Recover | StartAgain


def react(seen: Snapshot) -> Reaction | None:
    """What the attachment must do by itself now; None for nothing.

    While we leave, another holder of a part takes nothing from us.  While we attach, the attaching command
    hears of the failure.
    """
    if seen.leaving or seen.stage in ("held", "failed", "left"):
        return None
    if seen.lost:
        return GiveUp(seen.lost)
    if seen.stage != "attached":
        return None
    if seen.ended:
        return HandBack(seen.ended)
    if seen.outage:
        return Recover(seen.outage)
    return StartAgain(seen.resting) if seen.resting else None

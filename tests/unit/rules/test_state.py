"""What is true, by a row for each cause that a scenario knows, and for pairs of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from devcluster.rules.cluster.drift import Drift
from devcluster.rules.state import (
    GiveUp,
    HandBack,
    PodSight,
    Recover,
    Snapshot,
    Truth,
    judge,
    react,
    see_pod,
)

NOW = 100.0
BEFORE = Truth("attached", "", 50.0)


def pod(name: str = "a", **changed: Any) -> PodSight:
    """One that is attached and heard, since 50."""
    return replace(PodSight(name, "attached", since=50.0, heard=NOW, bare=50.0, lanes=2), **changed)


def seen(*pods: PodSight, **changed: Any) -> Snapshot:
    whole = Snapshot("web", "deployment/web", "attached", pods=pods or (pod(),), now=NOW)
    return replace(whole, **changed)


SILENT = pod(heard=90.0)
BARE = pod(lanes=0, bare=95.0)
KILLED = pod(state="reconnecting", reason="the agent was lost", since=97.0)
NEW = pod("b", state="connecting", since=99.0)
REVERTED = Drift("the template was put back", "gone")
PAST = Drift("service/web leads past the agent", "part")
IMAGE = Drift("another image", "none")
REPAIR = "; `devcluster up web` repairs it"

TABLE = [
    # what is known, state, reason, since
    ("all well", seen(), "attached", "", 50.0),
    ("agent killed", seen(KILLED), "reconnecting", "a: the agent was lost", NOW),
    ("API server silent", seen(SILENT), "reconnecting", "a: its agent can't be heard", 90.0),
    ("lanes cut", seen(BARE), "reconnecting", "a: no lane to this laptop is open", 95.0),
    ("engine away", seen(outage="the engine is away"), "reconnecting", "the engine is away", NOW),
    ("taken over", seen(stage="held", taken="held by bob"), "held", "held by bob", NOW),
    ("container ended", seen(stage="failed", failure="exit code 3"), "failed", "exit code 3", NOW),
    ("handed back", seen(stage="left"), "left", "", NOW),
    ("template reverted", seen(drift=(REVERTED,)), "partial", REVERTED.text + REPAIR, NOW),
    ("Service led past", seen(drift=(PAST,)), "partial", PAST.text + REPAIR, NOW),
    ("another image", seen(drift=(IMAGE,)), "attached", "", 50.0),
    (
        "nobody listens",
        seen(silent=("nobody listens on a", "on b")),
        "attached",
        "nobody listens on a; on b",
        50.0,
    ),
    ("no pod", seen(pods=()), "reconnecting", "no pod of deployment/web runs an agent", NOW),
    ("partly held", seen(pod(), NEW), "partial", "1 of 2 pods are attached", NOW),
    ("one of two wanted", seen(pods_wanted=2), "partial", "1 of 2 pods are attached", NOW),
    (
        "lease over, held again",
        seen(pod(state="held", since=98.0)),
        "reconnecting",
        "0 of 1 pods are attached",
        NOW,
    ),
    ("starting", seen(stage="starting", pods=()), "starting", "", NOW),
    ("starting, refused", seen(KILLED, stage="starting"), "starting", "a: the agent was lost", NOW),
    # pairs
    (
        "silent and killed",
        seen(SILENT, replace(KILLED, name="b")),
        "reconnecting",
        "a: its agent can't be heard; b: the agent was lost",
        90.0,
    ),
    ("one silent of two", seen(SILENT, pod("b")), "partial", "a: its agent can't be heard", 90.0),
    (
        "engine away and silent",
        seen(SILENT, outage="the engine is away"),
        "reconnecting",
        "the engine is away",
        90.0,
    ),
    (
        "engine away and reverted",
        seen(outage="the engine is away", drift=(REVERTED,)),
        "reconnecting",
        "the engine is away",
        NOW,
    ),
    (
        "reverted and killed",
        seen(KILLED, drift=(REVERTED,)),
        "absent",
        f"{REVERTED.text}{REPAIR}; a: the agent was lost",
        NOW,
    ),
    ("reverted, no pod", seen(pods=(), drift=(REVERTED,)), "absent", REVERTED.text + REPAIR, NOW),
    (
        "led past and silent",
        seen(SILENT, drift=(PAST,)),
        "reconnecting",
        f"{PAST.text}{REPAIR}; a: its agent can't be heard",
        90.0,
    ),
    (
        "taken over and engine away",
        seen(stage="held", taken="held by bob", outage="away"),
        "held",
        "held by bob",
        NOW,
    ),
    (
        "failed and reverted",
        seen(stage="failed", failure="exit code 3", drift=(REVERTED,)),
        "failed",
        "exit code 3",
        NOW,
    ),
    (
        "taken while it failed",
        seen(stage="failed", failure="exit code 3", taken="held by bob"),
        "failed",
        "held by bob",
        NOW,
    ),
]


@pytest.mark.parametrize(
    ("known", "state", "reason", "since"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_what_is_true(known: Snapshot, state: str, reason: str, since: float) -> None:
    truth = judge(known, BEFORE)
    assert (truth.state, truth.reason, truth.since) == (state, reason, since)


def test_a_state_that_lasts_keeps_its_beginning() -> None:
    before = judge(seen(KILLED), BEFORE)
    later = judge(seen(replace(KILLED, reason="again"), now=NOW + 9), before)
    assert later == Truth("reconnecting", "a: again", NOW)


def test_silence_is_told_since_it_began() -> None:
    assert see_pod(SILENT, NOW).since == 90.0
    assert see_pod(BARE, NOW).since == 95.0
    assert see_pod(pod(heard=NOW - 1), NOW).state == "attached"


REACTIONS = [
    ("all well", seen(), None),
    ("taken", seen(lost="held by bob"), GiveUp("held by bob")),
    ("taken while it starts", seen(stage="starting", lost="held by bob"), GiveUp("held by bob")),
    ("ended", seen(ended="exit code 3"), HandBack("exit code 3")),
    ("ended while it starts", seen(stage="starting", ended="exit code 3"), None),
    ("engine away", seen(outage="away"), Recover("away")),
    ("engine away while it starts", seen(stage="starting", outage="away"), None),
    ("taken and ended", seen(lost="held by bob", ended="exit code 3"), GiveUp("held by bob")),
    ("taken and engine away", seen(lost="held by bob", outage="away"), GiveUp("held by bob")),
    ("not brought back", seen(ended="no such image", outage="away"), HandBack("no such image")),
    ("letting go", seen(leaving=True, lost="held by bob", ended="x", outage="away"), None),
    ("over", seen(stage="failed", ended="exit code 3"), None),
    ("given up", seen(stage="held", ended="exit code 3"), None),
]


@pytest.mark.parametrize(("known", "reaction"), [row[1:] for row in REACTIONS], ids=[r[0] for r in REACTIONS])
def test_what_is_done_by_itself(known: Snapshot, reaction: object) -> None:
    assert react(known) == reaction

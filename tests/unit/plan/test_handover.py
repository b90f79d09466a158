"""Every handover there is, as `plan` prints it."""

from __future__ import annotations

from itertools import product

import pytest

from devcluster.config.model import Mode, Order, Run
from devcluster.plan.handover import Phase, Tell, plan_handover

PREPARE = "hold, connect, fill"
TABLE: list[tuple[Mode, Order, Run, str, str, str, str, str]] = [
    # mode, order, run: there; back; edit; restart; before a removal
    (
        "replace",
        "start-first",
        "container",
        f"{PREPARE}, start, hold-all, join take stop",
        "release, stop-local",
        "pause, replace, fill, start, join take stop",
        "pause, start again, join take stop",
        "",
    ),
    (
        "replace",
        "stop-first",
        "container",
        f"{PREPARE}, pause-stop, fill again, start, hold-all, join pause stop take",
        "pause, stop-local, release",
        "pause, replace, fill, start, join pause stop take",
        "pause, start again, join pause stop take",
        "pause, stop-local",
    ),
    (
        "intercept",
        "start-first",
        "container",
        f"{PREPARE}, start, hold-all, join intercept",
        "release, stop-local",
        "pause, replace, fill, start, join intercept",
        "pause, start again, join intercept",
        "",
    ),
    (
        "ingest",
        "start-first",
        "container",
        f"{PREPARE}, start, hold-all, join ingest",
        "release, stop-local",
        "replace, fill, start, join ingest",
        "start again, join ingest",
        "",
    ),
    (
        "replace",
        "start-first",
        "host",
        f"{PREPARE}, hold-all, join take stop",
        "release, stop-local",
        "pause, replace, fill, join take stop",
        "",
        "",
    ),
    (
        "replace",
        "stop-first",
        "host",
        f"{PREPARE}, pause-stop, fill again, hold-all, join pause stop take",
        "pause, stop-local, release",
        "pause, replace, fill, join pause stop take",
        "",
        "pause, stop-local",
    ),
    (
        "intercept",
        "start-first",
        "host",
        f"{PREPARE}, hold-all, join intercept",
        "release, stop-local",
        "pause, replace, fill, join intercept",
        "",
        "",
    ),
    (
        "ingest",
        "start-first",
        "host",
        f"{PREPARE}, hold-all, join ingest",
        "release, stop-local",
        "replace, fill, join ingest",
        "",
        "",
    ),
]


def _names(phases: tuple[Phase, ...]) -> str:
    return ", ".join(_name(phase) for phase in phases)


def _text(phases: tuple[Phase, ...]) -> str:
    return "\n".join(f"{number}. {phase}" for number, phase in enumerate(phases, 1))


def _name(phase: Phase) -> str:
    again = " again" if getattr(phase, "again", False) else ""
    requests = () if isinstance(phase, Tell) else getattr(phase, "requests", ())
    return " ".join([phase.name + again, *requests])


@pytest.mark.parametrize(("mode", "order", "run", "there", "back", "edit", "restart", "before"), TABLE)
def test_the_phases(
    mode: Mode, order: Order, run: Run, there: str, back: str, edit: str, restart: str, before: str
) -> None:
    plan = plan_handover(mode, order, "front", run)
    assert _names(plan.there) == there
    assert _names(plan.back) == back
    assert _names(plan.edit) == edit
    assert _names(plan.restart) == restart
    assert _names(plan.before_removal) == before
    assert _names(plan.loss) == _names(plan.after_removal) == "stop-local"


@pytest.mark.parametrize("order", ["start-first", "stop-first"])
def test_live_volumes_are_brought_over_before_their_agents_are_gone(order: Order) -> None:
    """Once while all serves, once when nothing here writes; and never after the original runs again where two
    must not run at once."""
    plan = plan_handover("replace", order, "front", "container", live=True)
    quiet = "flush, pause, stop-local, flush again"
    beside = "flush, release, stop-local, flush again"
    stop_first = order == "stop-first"
    assert _names(plan.back) == (f"{quiet}, release" if stop_first else beside)
    assert _names(plan.before_removal) == (quiet if stop_first else beside)
    assert _names(plan.loss) == "stop-local"
    assert "flush" not in _names((*plan.there, *plan.edit, *plan.restart))


@pytest.mark.parametrize("live", [True, False])
def test_an_original_that_may_serve_meanwhile_is_back_before_its_pods_are_replaced(live: bool) -> None:
    """Connections that wait in a pod end with it."""
    plan = plan_handover("replace", "stop-first", "front", "container", live=live, serves_on=True)
    assert plan.before_removal == plan.back
    assert _names(plan.back[-1:]) == "release"
    plan = plan_handover("replace", "start-first", "front", "container", live=live, serves_on=True)
    assert plan.before_removal == (plan.back if live else ())  # it serves by the laptop until they are gone


def test_order_is_for_what_stops_the_original() -> None:
    for mode, run in product(("intercept", "ingest"), ("container", "host")):
        first, second = (plan_handover(mode, it, "front", run) for it in ("start-first", "stop-first"))  # type: ignore[arg-type]
        assert first == second


def test_direct_is_taken_in_the_same_order() -> None:
    for order in ("start-first", "stop-first"):
        front, direct = (plan_handover("replace", order, it, "container") for it in ("front", "direct"))
        assert front == direct


def test_the_original_stops_once_and_comes_back() -> None:
    """Whatever stops it on the way there is undone by a release on the way back, and never in other modes."""
    for mode, order, run, *_ in TABLE:
        plan = plan_handover(mode, order, "front", run)
        told = [one for phase in plan.there for one in getattr(phase, "requests", ())]
        assert ("stop" in told) == (mode == "replace")
        assert any(isinstance(phase, Tell) and "release" in phase.requests for phase in plan.back)


def test_the_text_is_what_plan_prints() -> None:
    assert _text(plan_handover("replace", "start-first", "front", "container").there) == (
        "1. hold the agents and read what the pod has\n"
        "2. start the gateway\n"
        "3. copy the pod's volumes\n"
        "4. start the local container and wait until it is healthy\n"
        "5. wait until every agent is held\n"
        "6. lead its connections to the laptop, and stop the original"
    )


def test_a_process_is_neither_started_nor_stopped() -> None:
    plan = plan_handover("intercept", "start-first", "front", "host")
    assert _text((*plan.there, *plan.edit, *plan.back)) == (
        "1. hold the agents and read what the pod has\n"
        "2. open the pod's way to this laptop\n"
        "3. copy the pod's volumes\n"
        "4. wait until every agent is held\n"
        "5. lead its connections to the laptop, beside the original\n"
        "6. let its connections wait in the pods\n"
        "7. take up the edit\n"
        "8. copy the pod's volumes\n"
        "9. lead its connections to the laptop, beside the original\n"
        "10. lead its connections to the original\n"
        "11. close the pod's way to this laptop"
    )


@pytest.mark.parametrize(
    ("mode", "order", "expected"),
    [
        ("replace", "start-first", "pause; release; join take stop"),
        ("replace", "stop-first", "pause; release; join pause stop take"),
        ("intercept", "start-first", "pause; release; join intercept"),
        ("ingest", "start-first", "; release; join ingest"),
    ],
)
def test_an_outage_of_the_engine(mode: Mode, order: Order, expected: str) -> None:
    handover = plan_handover(mode, order, "front", "container")
    told = (*handover.outage, *handover.absence)
    assert all(phase.serving for phase in told)  # where the original serves already there is nothing to say
    assert expected == "; ".join(
        _names(part) for part in (handover.outage, handover.absence, handover.recovery)
    )

"""What each mode, take and run asks of the rest of devcluster, and that nobody else asks for them."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest

from devcluster.config.model import Mode, Run, Take
from devcluster.config.read.modes import allows_take
from devcluster.plan.serving import Serving, led_ports, plan_serving
from devcluster.rules.cluster.services import FrontPort
from devcluster.rules.ports.ports import PortKey

STOPS = "connections may be refused while the original stops or starts (take: direct)"
ALL_STAY = "every connection stays with the original (mode: ingest)"
OWN_STAY = "what calls the pod's own address, or 127.0.0.1 inside the pod, stays with the original"
FLAGS = ("fronts", "original_stops", "services_only")
TRAFFIC: list[tuple[Mode, Take, str, str, tuple[str, ...]]] = [
    # mode, take: what is led, what is true of it, notes
    ("replace", "front", "fronted", "fronts original_stops", ()),
    ("replace", "direct", "every", "original_stops", (STOPS,)),
    ("intercept", "front", "fronted", "fronts services_only", (OWN_STAY,)),
    ("ingest", "front", "nothing", "fronts", (ALL_STAY,)),
    ("ingest", "direct", "nothing", "", (ALL_STAY,)),
]
LOCAL: list[tuple[Run, str, str, str]] = [
    # run: what serves, where the volumes are, what is true of it
    (
        "container",
        "local container",
        "volumes",
        "has_container needs_engine needs_image publishes in_pod_network",
    ),
    ("host", "process", "folder", "needs_program exports_always"),
]
PARTS = (
    "has_container",
    "needs_engine",
    "needs_image",
    "needs_program",
    "publishes",
    "in_pod_network",
    "exports_always",
)


def true_of(made: Serving, names: tuple[str, ...]) -> str:
    return " ".join(name for name in names if getattr(made, name))


@pytest.mark.parametrize(("mode", "take", "led", "flags", "notes"), TRAFFIC)
@pytest.mark.parametrize("run", get_args(Run))
def test_what_reaches_the_laptop_is_a_matter_of_mode_and_take(
    mode: Mode, take: Take, led: str, flags: str, notes: tuple[str, ...], run: Run
) -> None:
    made = plan_serving(mode, take, run)
    assert (made.led, true_of(made, FLAGS), made.notes) == (led, flags, notes)
    assert ("{why}" in made.bypass, "stays with the original" in made.bypass) == (True, mode == "intercept")


@pytest.mark.parametrize(("run", "local", "copies_in", "parts"), LOCAL)
def test_what_serves_is_a_matter_of_run(run: Run, local: str, copies_in: str, parts: str) -> None:
    for mode, take, *_ in TRAFFIC:
        made = plan_serving(mode, take, run)
        assert (made.local, made.copies_in, true_of(made, PARTS)) == (local, copies_in, parts)


def test_the_table_has_each_pair_that_the_file_allows() -> None:
    allowed = {it for it in product(get_args(Mode), get_args(Take)) if allows_take(*it)}
    assert {(mode, take) for mode, take, *_ in TRAFFIC} == allowed


@pytest.mark.parametrize(
    ("mode", "run", "datagrams"),
    [
        ("replace", "container", "told"),
        ("intercept", "container", "kept"),
        ("ingest", "container", "kept"),
        ("replace", "host", "refused"),
        ("intercept", "host", "refused"),
        ("ingest", "host", "kept"),
    ],
)
def test_what_becomes_of_datagrams(mode: Mode, run: Run, datagrams: str) -> None:
    assert plan_serving(mode, "front", run).datagrams == datagrams


def test_led_ports() -> None:
    web, bare = FrontPort(PortKey(8080), 47100), FrontPort(PortKey(9000), None)
    assert led_ports("fronted", [web, bare]) == (PortKey(8080),)
    assert led_ports("every", [web, bare]) == (PortKey(8080), PortKey(9000))
    assert led_ports("nothing", [web, bare]) == ()

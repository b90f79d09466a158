"""``created``, ``changed``, ``unchanged``, ``put back``: decided once."""

from __future__ import annotations

import pytest

from devcluster.rules.outcome import Comparison, Decision, decide

TABLE = [
    ("not attached", Comparison(), Decision("created", "attach")),
    ("left before", Comparison(agent_fits=True), Decision("created", "attach")),
    ("nothing differs", Comparison(attached="attached"), Decision("unchanged", "nothing")),
    ("partial and nothing differs", Comparison(attached="partial"), Decision("unchanged", "nothing")),
    ("edited", Comparison(attached="attached", differs=True), Decision("changed", "edit")),
    ("another agent", Comparison(attached="attached", agent_fits=False), Decision("changed", "attach")),
    ("another mode", Comparison(attached="attached", same_taking=False), Decision("changed", "attach")),
    ("failed", Comparison(attached="failed"), Decision("changed", "attach")),
    ("taken over", Comparison(attached="held"), Decision("changed", "attach")),
    (
        "a Service astray",
        Comparison(attached="attached", astray=True),
        Decision("changed", "nothing", lead=True),
    ),
    (
        "astray and edited",
        Comparison(attached="attached", astray=True, differs=True),
        Decision("changed", "edit", lead=True),
    ),
    ("out of the file", Comparison(in_file=False, attached="attached"), Decision("put back", "remove")),
    ("out of the file, failed", Comparison(in_file=False, attached="failed"), Decision("put back", "remove")),
]


@pytest.mark.parametrize(("seen", "decision"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_becomes_of_it(seen: Comparison, decision: Decision) -> None:
    assert decide(seen) == decision


def test_only_what_stays_is_compared() -> None:
    assert Comparison(attached="attached").in_place
    assert not Comparison(attached="failed").in_place
    assert not Comparison(attached="attached", agent_fits=False).in_place

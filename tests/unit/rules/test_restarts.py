"""When a container that ended is started again: kubelet's pauses, a row for each history."""

from __future__ import annotations

import pytest

from devcluster.rules.container.restarts import plan_restart

TABLE: list[tuple[str, list[float], float | None]] = [
    ("the first end", [20], 0),
    ("a quick first end", [0.1], 0),
    ("the second", [20, 20], 10),
    ("a quick second", [0.1, 0.1], 10),
    ("each time twice as long", [20, 20, 20], 20),
    ("the fourth", [20] * 4, 40),
    ("the seventh would be 320", [20] * 7, 300),
    ("never longer", [20] * 3000, 300),
    ("after ten minutes it begins anew", [20, 20, 20, 601], 0),
    ("and goes on from there", [20, 20, 20, 601, 20], 10),
    ("ten minutes are not more", [20, 600], 10),
    ("three quick ends", [0.1, 9.9, 5], None),
    ("not in a row", [0.1, 20, 0.1, 0.1], 40),
    ("10 s are not quick", [0.1, 0.1, 10], 20),
    ("at last", [20, 20, 0.1, 0.1, 0.1], None),
]


@pytest.mark.parametrize(("what", "lives", "pause"), TABLE, ids=[row[0] for row in TABLE])
def test_the_pause(what: str, lives: list[float], pause: float | None) -> None:
    assert plan_restart(0, lives) == pause


@pytest.mark.parametrize("code", [1, 137, None], ids=["an error", "killed", "unhealthy"])
def test_any_other_end_is_a_failure(code: int | None) -> None:
    assert plan_restart(code, ()) is None
    assert plan_restart(code, (3600.0,)) is None

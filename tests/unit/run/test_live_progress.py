"""How far a live volume is, as progress tells it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from devcluster.run.changes import Changes
from devcluster.run.report import Progress
from devcluster.run.turn import Turn
from devcluster.run.volume.live_volumes import LiveVolumes


def test_what_is_sent_counts_before_the_pod_has_it() -> None:
    told: list[Progress] = []
    site: Any = None
    volume: Any = SimpleNamespace(spec=SimpleNamespace(label="data"))
    say = LiveVolumes(site, "web", Changes())._saying(Turn.of(9, told.append), volume)
    for files, size, pending, left in ((1, 3, 1, 500), (1, 3, 1, 200), (2, 503, 0, 0)):
        say({"files": files, "bytes": size, "pending": pending, "pending_bytes": left})
    assert [(it.done, it.total) for it in told] == [(0, 500), (300, 500), (503, 503)]
    assert [(it.files, it.files_total) for it in told] == [(0, 1), (0, 1), (2, 2)]

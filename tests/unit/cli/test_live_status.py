"""What `status` says of live volumes, and how `sync` is called."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest
from click.testing import CliRunner

from devcluster.cli import status
from devcluster.cli.main import devcluster
from devcluster.cli.options import Options
from devcluster.cli.show.printer import Printer
from devcluster.cli.show.words import render_json
from devcluster.rules.volume.live import describe, render_path

_HELD = {"deleted_on": "pod", "count": 412, "paths": ["a", "b", "c", "d"]}


def _workload(**said: Any) -> dict[str, Any]:
    volume = {"name": "data", "path": "/data", "mode": "sync"} | describe("/data", said)
    lists: dict[str, Any] = {name: [] for name in ("pods", "ports", "rewrites", "drift", "holder")}
    head = {"name": "web", "target": "deployment/web/web", "mode": "replace", "state": "attached"}
    return (
        head | lists | {"since": "", "reason": "", "pods_wanted": 1, "volumes": [volume | {"left_out": []}]}
    )


def test_a_live_volume_tells_what_is_under_way_and_what_needs_somebody(
    capsys: pytest.CaptureFixture[str],
) -> None:
    workload = _workload(
        files=3,
        bytes=2048,
        pending=2,
        last_sent="2026-01-01T00:00:00Z",
        conflicts=[{"path": "both", "why": "changed on both sides"}],
        problems=[{"path": "full", "why": "no space left on device"}],
        held_back=[_HELD],
        databases=["d/app.db-wal"],
    )
    status._print(Printer(Options()), {"workloads": [workload]})
    text = capsys.readouterr().out
    assert "data(sync, 3 files, 2.0 KiB, 2 under way, 1 conflict)" in text
    assert text.splitlines()[2:] == [
        "web: data: last change sent 2026-01-01T00:00:00Z, received never",
        "web: /data/both: conflict: changed on both sides (devcluster sync web --keep laptop|pod /data/both)",
        "web: /data/full: no space left on device",
        "web: /data/d/app.db-wal: it is SQLite's: each file is sent by itself, so a copy is torn until both "
        "sides are at rest (`mode: copy` is for it)",
        "web: data: 412 deletions on the pod are held back: /data/a, /data/b, /data/c … "
        "(devcluster sync web --keep laptop|pod /data)",
    ]


@pytest.mark.parametrize(
    ("path", "shown", "word"),
    [
        ("/d/a", "/d/a", "/d/a"),
        ("/d/a b's", "/d/a b's", "'/d/a b'\"'\"'s'"),
        ("/d/é", "/d/é", "'/d/é'"),
        ("/d/a\nb's\x1b", "$'/d/a\\x0ab\\x27s\\x1b'", "$'/d/a\\x0ab\\x27s\\x1b'"),
        ("/d/\udcff", "$'/d/\\xff'", "$'/d/\\xff'"),
    ],
)
def test_a_name_that_can_not_be_printed_is_what_a_shell_makes_it_from(
    path: str, shown: str, word: str
) -> None:
    assert (render_path(path), render_path(path, word=True)) == (shown, word)
    done = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True)
    assert done.stdout == os.fsencode(path)
    assert json.loads(render_json({"path": path}).encode()) == {"path": path}


def test_nothing_is_said_of_a_private_copy(capsys: pytest.CaptureFixture[str]) -> None:
    workload = _workload()
    workload["volumes"][0]["mode"] = "copy"
    status._print(Printer(Options()), {"workloads": [workload]})
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize("words", ["--keep pod", "web --keep pod", "web --keep mine /a"])
def test_a_decision_needs_a_side_a_workload_and_paths(words: str) -> None:
    assert CliRunner().invoke(devcluster, ["sync", *words.split()]).exit_code == 2

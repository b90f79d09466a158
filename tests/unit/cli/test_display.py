"""Progress on a real terminal: what stands there at each moment and in the end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.terminal import Seen, run_in_terminal

_ROOT = str(Path(__file__).resolve().parents[3])
_UNSET = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")  # pytest itself sets the size for its workers
_COLOR = re.compile(rb"\x1b\[[0-9;]+m")

_PROGRAM = """
import logging, sys, time
import click
from devcluster.cli.options import common, pass_options
from devcluster.cli.show.printer import Printer
from devcluster.errors import FailedError
from devcluster.run.log import log_to
from devcluster.run.report import Progress
from devcluster.run.turn import Turn

@click.command()
@click.option("--failing", is_flag=True)
@common
@pass_options
def main(options, failing):
    printer = Printer(options)
    log_to(None, stderr=logging.WARNING)
    turn = Turn.of(9, printer.progress)
    with turn.phase("web", "start the gateway", "connect"):
        turn.say("web", "warning: the local container uses the real database service/db (see DB_HOST)")
        time.sleep(0.1)
        logging.getLogger("devcluster.host").warning("web: a line of the log")
    with turn.phase("web", "copy the pod's volumes", "fill"):
        for done in range(5):
            so_far = {"item": "data", "files": done, "files_total": 4}
            turn.report(Progress("web", "copying data", done << 20, 4 << 20, "bytes", **so_far))
            time.sleep(0.1)
        if failing:
            raise FailedError("the lane is gone")
    printer.outcomes({"workloads": [{"name": "web", "outcome": "created", "detail": []}]})
    printer.log("web", "a line of the container")

from devcluster.cli.ending import run_to_the_end
run_to_the_end(main)
"""


def _environ(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _UNSET}
    return kept | {"PYTHONPATH": _ROOT, "TERM": "xterm-256color"} | more


def _run(folder: Path, *words: str, width: int = 80, **environ: str) -> Seen:
    return run_in_terminal([sys.executable, "-c", _PROGRAM, *words], folder, _environ(**environ), width=width)


def _unwrapped(lines: Iterable[str]) -> str:
    """Without blanks, since a line that is wrapped may lose one."""
    text = re.sub(r"\s", "", "".join(lines))
    return re.sub(r"\d+\.\ds\)", "T)", re.sub(r"\d{4}-[\d:,-]+", "TIME", text))


def _timeless(lines: tuple[str, ...]) -> list[str]:
    """Times as T, and those of the log, too."""
    texts = [re.sub(r"^\d{4}-\S+ \S+ ", "", line) for line in lines]
    return [re.sub(r"\b\d+\.\d s\b", "T", text) for text in texts]


_WARNING = "[web] warning: the local container uses the real database service/db (see DB_HOST)"


@pytest.mark.parametrize("width", [50, 130])
def test_rows_update_in_place_and_nothing_is_garbled(tmp_path: Path, width: int) -> None:
    seen = _run(tmp_path, width=width)
    assert seen.code == 0
    expected = [
        _WARNING,
        "TIME WARNING web: a line of the log",
        "[web] start the gateway (T)",
        "[web] copy the pod's volumes: 4 files, 4.0 MiB (T)",
        "web  created",
        "web | a line of the container",
    ]
    assert _unwrapped(seen.lines) == _unwrapped(expected)
    rows = [line for moment in seen.moments for line in moment if line.startswith("[web] copy")]
    assert any("50 %" in row for row in rows)
    assert any("2.0 MiB of 4.0 MiB" in row for row in rows) is (width == 130)
    assert any("2 of 4 files" in row and "MiB/s" in row and "left" in row for row in rows) is (width == 130)
    for moment in seen.moments:  # one row, never two of the same
        assert sum(line.startswith("[web] copy") for line in moment) <= 1
    assert b"\x1b[?25l" not in seen.raw  # the cursor is never hidden: a killed process can't show it again


def test_an_error_leaves_what_was_reached(tmp_path: Path) -> None:
    seen = _run(tmp_path, "--failing", width=130)
    assert seen.code == 1
    assert _timeless(seen.lines)[-2:] == [
        "[web] copy the pod's volumes: stopped after T at 4.0 MiB of 4.0 MiB",
        "error: the lane is gone",
    ]


@pytest.mark.parametrize(
    ("words", "environ", "colored"),
    [((), {}, True), ((), {"NO_COLOR": "1"}, False), (("--no-color",), {}, False)],
)
def test_rows_have_colors_unless_nobody_wants_them(
    tmp_path: Path, words: tuple[str, ...], environ: dict[str, str], colored: bool
) -> None:
    seen = _run(tmp_path, *words, width=130, **environ)
    assert any("2.0 MiB of 4.0 MiB" in line for moment in seen.moments for line in moment)
    assert bool(_COLOR.search(seen.raw)) is colored


def test_quiet_has_no_progress(tmp_path: Path) -> None:
    seen = _run(tmp_path, "--quiet", "--no-color")
    assert _timeless(seen.lines) == [
        "WARNING web: a line of the log",
        "web  created",
        "web | a line of the container",
    ]


@pytest.mark.parametrize("where", ["pipe", "dumb"])
def test_elsewhere_there_are_lines(tmp_path: Path, where: str) -> None:
    if where == "dumb":
        lines = list(_run(tmp_path, width=130, TERM="dumb").lines)
    else:
        command = [sys.executable, "-c", _PROGRAM]
        done = subprocess.run(
            command, cwd=tmp_path, env=_environ(), capture_output=True, text=True, timeout=60
        )
        lines = [*done.stderr.splitlines(), *done.stdout.splitlines()]
    assert _timeless(tuple(lines)) == [
        "[web] start the gateway",
        _WARNING,
        "WARNING web: a line of the log",
        "[web] copy the pod's volumes",
        *(f"[web] copying data, {n} of 4 files: {n}{'.0 MiB' if n else ' B'} of 4.0 MiB" for n in range(5)),
        "web  created",
        "web | a line of the container",
    ]

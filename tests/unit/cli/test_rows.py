"""What a terminal shows of progress, told as text: the lines that stay, then the rows that are at work."""

from __future__ import annotations

import pytest

from devcluster.cli.show.rows import Amount, Rows, fitting, follow, render_amount, shows_rows, stop
from devcluster.run.report import Progress

_FILL = Progress("web", "copy the pod's volumes", phase="fill")
_START = Progress("web", "start the local container", phase="start")
_MIB = 1 << 20


def _copying(item: str, done: int, files: int, total: int = 4 * _MIB, of: int = 8) -> Progress:
    return Progress("web", f"copying {item}", done, total, "bytes", item=item, files=files, files_total=of)


def _ended(begun: Progress, seconds: float, text: str = "") -> Progress:
    return Progress(begun.subject, text or begun.text, phase=begun.phase, seconds=seconds)


def _pulling(done: int, known: int, moved: int) -> Progress:
    return Progress("web", "pulling nginx", done, known, "layers", item="nginx", moved=moved)


_PULL = Progress("web", "pulling nginx", phase="pull")


def test_rate_and_time_left_of_a_pull_are_told_by_its_bytes_once_all_sizes_are_known() -> None:
    assert Amount(3, 7, "layers", moved=5 * _MIB).way == (3, 7, False)
    assert Amount(3, 7, "layers", moved=5 * _MIB, moved_total=9 * _MIB).way == (5 * _MIB, 9 * _MIB, True)
    assert Amount(1, 2, "bytes").way == (1, 2, True)


@pytest.mark.parametrize(
    ("told", "lines", "rows"),
    [
        ([_FILL], [], ["[web] copy the pod's volumes"]),
        ([_FILL, _ended(_FILL, 1.26)], ["[web] copy the pod's volumes (1.3 s)"], []),
        ([_FILL, _ended(_FILL, 65)], ["[web] copy the pod's volumes (1:05 min)"], []),
        (
            [_FILL, _copying("data", _MIB, 1), _copying("data", 2 * _MIB, 4)],
            [],
            ["[web] copy the pod's volumes: 4 of 8 files, 2.0 MiB of 4.0 MiB"],
        ),
        (
            [_FILL, _copying("data", _MIB, 1), _copying("conf", 1024, 1, 2048, 2)],
            [],
            ["[web] copy the pod's volumes: 2 of 10 files, 1.0 MiB of 4.0 MiB"],
        ),
        (
            [_FILL, _copying("data", 4 * _MIB, 8), _ended(_FILL, 2)],
            ["[web] copy the pod's volumes: 8 files, 4.0 MiB (2.0 s)"],
            [],
        ),
        (
            [_FILL, Progress("web", "volume data: left out"), Progress("", "note")],
            ["[web] volume data: left out", "note"],
            ["[web] copy the pod's volumes"],
        ),
        (  # it failed: what comes next says why
            [_START, Progress("web", "putting back: it ended"), Progress("web", "release", phase="release")],
            ["[web] putting back: it ended", "[web] start the local container: stopped after 2.0 s"],
            ["[web] release"],
        ),
        (
            [_FILL, Progress("api", "start the gateway", phase="connect")],
            [],
            ["[web] copy the pod's volumes", "[api] start the gateway"],
        ),
        ([_PULL, _pulling(3, 7, 5 * _MIB)], [], ["[web] pulling nginx: 3 of 7 layers, 5.0 MiB"]),
        (
            [_PULL, _pulling(7, 7, 9 * _MIB), _ended(_PULL, 3, "pulled nginx")],
            ["[web] pulled nginx: 7 layers, 9.0 MiB (3.0 s)"],
            [],
        ),
        ([_copying("data", _MIB, 1)], [], ["[web] copying data: 1 of 8 files, 1.0 MiB of 4.0 MiB"]),
        (
            [_copying("data", _MIB, 1), _copying("data", 4 * _MIB, 8)],
            ["[web] copying data: 8 files, 4.0 MiB (1.0 s)"],
            [],
        ),
        ([_FILL, _copying("empty", 0, 0, 0, 0)], [], ["[web] copy the pod's volumes"]),
        ([_ended(_FILL, 1)], ["[web] copy the pod's volumes (1.0 s)"], []),
    ],
)
def test_what_stays_and_what_is_at_work(told: list[Progress], lines: list[str], rows: list[str]) -> None:
    now = 0.0
    stayed: list[str] = []
    shown: Rows = {}
    for one in told:
        shown, new = follow(shown, one, now)
        stayed += new
        now += 1
    assert stayed == lines
    assert [_text(shown, subject) for subject in shown] == rows


def _text(rows: Rows, subject: str) -> str:
    row = rows[subject]
    if not row.amount.total:
        return row.title
    files = f"{row.amount.files} of {row.amount.files_total} files, " if row.amount.files_total else ""
    return f"{row.title}: {files}{render_amount(row.amount)}"


def test_what_has_not_ended_was_stopped() -> None:
    rows, _ = follow({}, _FILL, 0)
    rows, _ = follow(rows, _copying("data", _MIB, 1), 1)
    rows, _ = follow(rows, Progress("api", "wait", phase="await-pods"), 2)
    assert stop(rows, 4) == (
        "[web] copy the pod's volumes: stopped after 4.0 s at 1.0 MiB of 4.0 MiB",
        "[api] wait: stopped after 2.0 s",
    )


@pytest.mark.parametrize(
    ("width", "travels", "columns"),
    [
        (200, False, ("text", "time")),
        (20, False, ("text",)),
        (33, False, ("text", "time")),
        (32, True, ("text",)),
        (38, True, ("text", "time")),
        (40, True, ("text", "part", "time")),
        (62, True, ("text", "part", "amount", "time")),
        (80, True, ("text", "bar", "part", "amount", "time")),
        (90, True, ("text", "bar", "part", "amount", "rate", "time")),
        (110, True, ("text", "bar", "part", "amount", "rate", "left", "time")),
        (122, True, ("text", "bar", "part", "files", "amount", "rate", "left", "time")),
    ],
)
def test_a_narrow_window_drops_the_least_important(
    width: int, travels: bool, columns: tuple[str, ...]
) -> None:
    assert fitting(width, travels=travels) == columns


@pytest.mark.parametrize(
    ("terminal", "term", "verbose", "rows"),
    [
        (True, "xterm", False, True),
        (False, "xterm", False, False),
        (True, "dumb", False, False),
        (True, "", False, False),
        (True, "xterm", True, False),
    ],
)
def test_rows_are_for_a_terminal(terminal: bool, term: str, verbose: bool, rows: bool) -> None:
    assert shows_rows(terminal=terminal, term=term, verbose=verbose) is rows

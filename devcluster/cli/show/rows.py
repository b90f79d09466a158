"""What a terminal shows of progress: a row for each workload that is at work, and the lines that stay above.

Rules:
- a workload is in one phase at a time: the next one's beginning ends it, too;
- a phase that ended leaves one line, with its time and what travelled;
- what is told without a phase stays as it is told: a warning, a note;
- a narrow window drops the least important columns, and cuts the text last.

The naive way, to overwrite the last line, loses one workload's row to the other, and a warning to both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from devcluster.cli.show.words import render_seconds, size
from devcluster.run.report import Progress

Column = Literal["text", "bar", "part", "files", "amount", "rate", "left", "time"]
_ORDER: tuple[Column, ...] = ("text", "bar", "part", "files", "amount", "rate", "left", "time")
WIDTHS: Mapping[Column, int] = {
    "time": 8,
    "part": 5,
    "amount": 22,
    "bar": 15,
    "rate": 11,
    "left": 11,
    "files": 18,
}
"""Of each column in letters, by importance."""
_TEXT = 24  # letters of the text that are worth more than another column


@dataclass(frozen=True, slots=True)
class Amount:
    """``done`` of ``total`` in ``unit``; ``moved``: bytes, where these are no bytes, of ``moved_total``, or 0
    where that is not known."""

    done: int = 0
    total: int = 0
    unit: str = ""
    files: int = 0
    files_total: int = 0
    moved: int = 0
    moved_total: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            self.done + other.done,
            self.total + other.total,
            other.unit,
            self.files + other.files,
            self.files_total + other.files_total,
            self.moved + other.moved,
            self.moved_total + other.moved_total,
        )

    @property
    def way(self) -> tuple[int, int, bool]:
        """How far it is, of how much, and whether that is bytes: by which rate and time left are told."""
        if self.moved_total:
            return self.moved, self.moved_total, True
        return self.done, self.total, self.unit == "bytes"


@dataclass(frozen=True, slots=True)
class Row:
    """What *subject* does since ``began`` (seconds of any clock); ``items``: what travels, by its name."""

    subject: str
    text: str
    began: float
    phase: str = ""
    items: tuple[tuple[str, Amount], ...] = ()

    @property
    def amount(self) -> Amount:
        """Of all that travels."""
        return sum((amount for _, amount in self.items), Amount())

    @property
    def title(self) -> str:
        return render_title(self.subject, self.text)


Rows = Mapping[str, Row]


def follow(rows: Rows, told: Progress, now: float) -> tuple[Rows, tuple[str, ...]]:
    """*rows*, by subject, after *told*; and the lines that stay."""
    former = rows.get(told.subject)
    if told.travels:
        return _travel(rows, former or Row(told.subject, told.text, now), told, now)
    if not told.phase:
        return rows, (render_title(told.subject, told.text),)
    if told.seconds is None:
        lines = () if former is None else (_render_stopped(former, now),)
        return {**rows, told.subject: Row(told.subject, told.text, now, told.phase)}, lines
    ended = replace(former or Row(told.subject, told.text, now), text=told.text)
    return _without(rows, told.subject), (_render_ended(ended, told.seconds),)


def stop(rows: Rows, now: float) -> tuple[str, ...]:
    """The lines that stay of what has not ended: the command did."""
    return tuple(_render_stopped(row, now) for row in rows.values())


def _travel(rows: Rows, row: Row, told: Progress, now: float) -> tuple[Rows, tuple[str, ...]]:
    amount = Amount(
        told.done, told.total, told.unit, told.files, told.files_total, told.moved, told.moved_total
    )
    row = replace(row, items=tuple((dict(row.items) | {told.item: amount}).items()))
    if not row.phase and row.amount.done >= row.amount.total:  # nobody else says that it has ended
        return _without(rows, row.subject), (_render_ended(row, now - row.began),)
    return {**rows, row.subject: row}, ()


def _without(rows: Rows, subject: str) -> Rows:
    return {key: row for key, row in rows.items() if key != subject}


def render_title(subject: str, text: str) -> str:
    return f"[{subject}] {text}" if subject else text


def _render_ended(row: Row, seconds: float) -> str:
    took = render_seconds(seconds)
    amount = row.amount
    if not amount.total:
        return f"{row.title} ({took})"
    parts = [f"{amount.files_total:,} files"] if amount.files_total else []
    parts.append(render_amount(replace(amount, done=amount.total), whole=True))
    return f"{row.title}: {', '.join(parts)} ({took})"


def _render_stopped(row: Row, now: float) -> str:
    took = render_seconds(now - row.began)
    amount = f" at {render_amount(row.amount)}" if row.amount.total else ""
    return f"{row.title}: stopped after {took}{amount}"


def render_amount(amount: Amount, *, whole: bool = False) -> str:
    """``1.2 of 3.4 MiB``, ``3 of 7 layers``; *whole*: only the total."""
    if amount.unit == "bytes":
        return size(amount.total) if whole else f"{size(amount.done)} of {size(amount.total)}"
    moved = f", {size(amount.moved)}" if amount.moved else ""
    count = str(amount.total) if whole else f"{amount.done} of {amount.total}"
    return f"{count} {amount.unit}".rstrip() + moved


def render_part(amount: Amount) -> str:
    """``42 %``."""
    return f"{100 * amount.done // amount.total} %"


def render_files(amount: Amount) -> str:
    return f"{amount.files} of {amount.files_total} files" if amount.files_total else ""


def fitting(width: int, *, travels: bool) -> tuple[Column, ...]:
    """The columns for a window of *width*, from left to right; *travels*: whether there is a bar to show."""
    left = width - _TEXT
    chosen: set[Column] = {"text"}
    for column, needed in WIDTHS.items():
        if column != "time" and not travels:
            continue
        if needed >= left:
            break
        left -= needed + 1
        chosen.add(column)
    return tuple(column for column in _ORDER if column in chosen)


def shows_rows(*, terminal: bool, term: str, verbose: bool) -> bool:
    """Whether rows are shown at all; else each thing told is a line.  *term*: the variable TERM;
    *verbose*: lines have the time at which they came, and the host's own log stands between them."""
    return terminal and term not in ("", "dumb", "unknown") and not verbose

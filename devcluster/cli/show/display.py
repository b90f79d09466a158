"""The rows on a terminal (``rich``): drawn while something is at work, gone when nothing is.

So what is printed between two phases, or after the last one (results, logs, an error), is never overwritten,
and nobody has to be told that it may print now.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, Task, TaskID
from rich.table import Table
from rich.text import Text

from devcluster.cli.show.rows import (
    WIDTHS,
    Column,
    Row,
    Rows,
    fitting,
    follow,
    render_amount,
    render_files,
    render_part,
    stop,
)
from devcluster.cli.show.words import render_seconds, size
from devcluster.run.report import Progress as Told

_OFTEN = 8  # times a second


class Display:
    """What stays on the screen after ``close`` is whole lines."""

    def __init__(self, *, color: bool) -> None:
        self._console = _Screen(
            stderr=True, force_terminal=True, highlight=False, color_system="auto" if color else None
        )
        self._rows: Rows = {}
        self._table: _Table | None = None

    def tell(self, told: Told) -> None:
        self._rows, lines = follow(self._rows, told, time.monotonic())
        self._show(lines)

    def close(self) -> None:
        """Nothing is at work any more; what has not ended was stopped."""
        lines = stop(self._rows, time.monotonic())
        self._rows = {}
        self._show(lines)

    def _show(self, lines: Iterable[str]) -> None:
        if self._table is None and self._rows:
            self._table = _Table(self._console)
            self._table.start()
        if self._table is not None:
            self._table.show(self._rows)
        if self._table is not None and not self._rows:
            self._table.stop()
            self._table = None
        for line in lines:
            self._console.print(Text(line), soft_wrap=True)


class _Screen(Console):
    """The cursor stays visible: a process that is killed could not show it again."""

    def show_cursor(self, show: bool = True) -> bool:
        return False


class _Table(Progress):
    """A task for each row."""

    def __init__(self, console: Console) -> None:
        self._screen = console  # asked for its width at once
        self._of: dict[str, tuple[Row, TaskID]] = {}
        super().__init__(console=console, transient=True, refresh_per_second=_OFTEN, redirect_stdout=False)

    def show(self, rows: Rows) -> None:
        for subject, (former, task) in list(self._of.items()):
            row = rows.get(subject)
            if row is None or (row.began, row.text) != (former.began, former.text):
                self.remove_task(task)
                del self._of[subject]
        for subject, row in rows.items():
            if subject not in self._of:
                self._of[subject] = row, self.add_task(row.title, total=None)
            done, total, _ = row.amount.way
            self.update(self._of[subject][1], completed=done, total=total or None, amount=row.amount)
        self.refresh()

    def make_tasks_table(self, tasks: Iterable[Task]) -> Table:
        shown = list(tasks)
        columns = fitting(self._screen.width, travels=any(task.total for task in shown))
        table = Table.grid(padding=(0, 1), expand=True)
        for name in columns:
            if name == "text":
                table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
            else:
                table.add_column(no_wrap=True, justify="right", min_width=WIDTHS[name])
        for task in shown:
            table.add_row(*(_render(name, task) for name in columns))
        return table


def _render(column: Column, task: Task) -> RenderableType:
    if column not in ("text", "time") and not task.total:
        return ""
    cell = _CELLS[column](task)
    return Text(cell) if isinstance(cell, str) else cell


def _render_rate(task: Task) -> str:
    _, _, bytes_ = task.fields["amount"].way
    return f"{size(task.speed)}/s" if task.speed and bytes_ else ""


def _render_left(task: Task) -> str:
    left = task.time_remaining
    return f"{render_seconds(left)} left" if left else ""


_CELLS: dict[Column, Callable[[Task], RenderableType]] = {
    "text": lambda task: str(task.description),
    "bar": BarColumn(bar_width=WIDTHS["bar"]),
    "part": lambda task: render_part(task.fields["amount"]),
    "files": lambda task: render_files(task.fields["amount"]),
    "amount": lambda task: render_amount(task.fields["amount"]),
    "rate": _render_rate,
    "left": _render_left,
    "time": lambda task: render_seconds(task.elapsed or 0.0),
}

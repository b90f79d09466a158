"""Values to text.  Results go to stdout, progress and logs of the tool itself to stderr."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from devcluster.cli.options import Options
from devcluster.run.report import Progress

_COLORS = {"created": "green", "changed": "yellow", "put back": "cyan", "left": "cyan"}
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


class Printer:
    """One command's output, by its options."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._open_line = False
        self._began = time.monotonic()

    def progress(self, progress: Progress) -> None:
        """A line of progress; one with a size is overwritten in place on a terminal.  If nobody reads it
        the work goes on, since it may be handing back."""
        ended = progress.seconds is not None
        if not self._options.quiet and (self._options.verbose or not ended):
            with contextlib.suppress(BrokenPipeError):
                self._progress(progress)

    def _progress(self, progress: Progress) -> None:
        line = _progress_line(progress)
        if self._options.verbose:
            line = f"{time.monotonic() - self._began:7.2f} s  {line}"
        live = sys.stderr.isatty() and bool(progress.total)
        if self._open_line and not live:
            click.echo("", err=True)
        if live:
            click.echo(f"\r\033[K{line}", err=True, nl=False)
        else:
            click.echo(line, err=True, color=self._options.color)
        self._open_line = live

    def log(self, subject: str, line: str) -> None:
        """A line of a local container's log.  With a document it is not the result, so it goes to stderr."""
        text = f"{click.style(subject, fg='blue')} | {line}"
        click.echo(text, err=self._options.json, color=self._options.color)

    def document(self, value: Any) -> None:
        """The command's one document.  A later error is told only on stderr."""
        self._options.answered = True
        click.echo(json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False))

    def outcomes(self, result: dict[str, Any]) -> None:
        """``{"workloads": [{"name", "outcome", "detail": [...]}], "notes": [...]}``."""
        if self._options.json:
            self.document(result)
            return
        rows = [(it["name"], it["outcome"], *it.get("detail", [])[:1]) for it in result["workloads"]]
        self.table(rows, color_column=1)
        for workload in result["workloads"]:
            for line in (*workload.get("detail", [])[1:], *workload.get("silent", [])):
                click.echo(f"  {line}", color=self._options.color)
        for note in result.get("notes", []):
            click.echo(note, color=self._options.color)

    def plan(self, plan: dict[str, Any]) -> None:
        if self._options.json:
            self.document(plan)
        else:
            click.echo(plan["text"], nl=not plan["text"].endswith("\n"))

    def table(self, rows: Sequence[Sequence[str]], *, color_column: int | None = None) -> None:
        """Columns as wide as they need to be."""
        width = [
            max(len(row[i]) for row in rows if i < len(row)) for i in range(max(map(len, rows), default=0))
        ]
        for row in rows:
            cells = [cell.ljust(width[i]) if i + 1 < len(row) else cell for i, cell in enumerate(row)]
            if color_column is not None and row[color_column] in _COLORS:
                cells[color_column] = click.style(cells[color_column], fg=_COLORS[row[color_column]])
            click.echo("  ".join(cells).rstrip(), color=self._options.color)


def size(count: float) -> str:
    """1536 to ``1.5 KiB``."""
    for unit in _UNITS:
        if count < 1024 or unit == _UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError


def _progress_line(progress: Progress) -> str:
    head = f"[{progress.subject}] " if progress.subject else ""
    if progress.seconds is not None:
        return f"{head}{progress.text}: done in {progress.seconds:.2f} s"
    if not progress.total:
        return f"{head}{progress.text}"
    if progress.unit == "bytes":
        amount = f"{size(progress.done)} of {size(progress.total)}"
    else:
        amount = f"{progress.done} of {progress.total} {progress.unit}".rstrip()
    return f"{head}{progress.text}: {amount}"

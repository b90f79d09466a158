"""Values to text.  Results go to stdout, progress and logs of the tool itself to stderr."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from devcluster.cli.options import Options
from devcluster.cli.show.rows import render_title, shows_rows
from devcluster.cli.show.words import render_json, size
from devcluster.run.report import Progress, Report, silent

_COLORS = {"created": "green", "changed": "yellow", "put back": "cyan", "left": "cyan"}


class Printer:
    """One command's output, by its options."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._began = time.monotonic()
        self._texts: dict[tuple[str, str], str] = {}  # of the phases that have begun, by subject and name
        self._tell = self._choose()

    def _choose(self) -> Report:
        """Rows on a terminal, for as long as the command lives; else lines."""
        if self._options.quiet:
            return silent
        terminal, term = sys.stderr.isatty(), os.environ.get("TERM", "")
        if not shows_rows(terminal=terminal, term=term, verbose=self._options.verbose):
            return self._tell_line
        from devcluster.cli.show.display import Display

        display = Display(color=self._options.color is not False)
        if (context := click.get_current_context(silent=True)) is not None:
            context.call_on_close(display.close)
        return display.tell

    def progress(self, progress: Progress) -> None:
        """Something is at work, is so far, or has ended.  If nobody reads it the work goes on, since it may
        be handing back."""
        with contextlib.suppress(OSError):
            self._tell(progress)

    def _tell_line(self, progress: Progress) -> None:
        if not self._options.verbose and not self._is_news(progress):
            return
        line = render_progress(progress, timed=self._options.verbose)
        if self._options.verbose:
            line = f"{time.monotonic() - self._began:7.2f} s  {line}"
        click.echo(line, err=True, color=self._options.color)

    def _is_news(self, progress: Progress) -> bool:
        """Whether it says something else than its phase's beginning did."""
        if progress.seconds is not None:
            return progress.text != self._texts.get((progress.subject, progress.phase))
        if progress.phase:
            self._texts[progress.subject, progress.phase] = progress.text
        return True

    def log(self, subject: str, line: str) -> None:
        """A line of a local container's log.  With a document it is not the result, so it goes to stderr."""
        text = f"{click.style(subject, fg='blue')} | {line}"
        click.echo(text, err=self._options.json, color=self._options.color)

    def document(self, value: Any) -> None:
        """The command's one document.  A later error is told only on stderr."""
        self._options.answered = True
        click.echo(render_json(value, indent=2))

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


def render_progress(progress: Progress, *, timed: bool) -> str:
    """One line; *timed*: an end with its time."""
    title = render_title(progress.subject, progress.text)
    if progress.seconds is not None:
        return f"{title}: done in {progress.seconds:.2f} s" if timed else title
    if not progress.total:
        return title
    if progress.files_total:
        title += f", {progress.files} of {progress.files_total} files"
    if progress.unit == "bytes":
        return f"{title}: {size(progress.done)} of {size(progress.total)}"
    if progress.moved:
        title += f" ({progress.moved / (1 << 20):.0f} MiB)"
    return f"{title}: {progress.done} of {progress.total} {progress.unit}".rstrip()

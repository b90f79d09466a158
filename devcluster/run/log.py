"""Where the host process tells what it does, and why: a log of one line each, names only, never a value.

``devcluster.host`` is what it does by itself; ``devcluster.told`` is what a command was told at the same
moment.  Both go to session.log.  Of the first, a foreground `up` also shows warnings on stderr, where
somebody reads them, and all of it with ``--verbose``; the second is on the command's stderr already.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TextIO

from devcluster.run.report import Progress, Report

_FORMAT = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
_host = logging.getLogger("devcluster.host")
_told = logging.getLogger("devcluster.told")


def log_to(file: Path | None, *, stderr: int) -> None:
    """Write to *file*, which only we can read (0600), and to stderr what is of level *stderr* or above;
    without a file, all of it to stderr."""
    handlers: list[logging.Handler] = [_Stderr()]
    handlers[0].setLevel(stderr)
    if file is not None:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        handlers[0].addFilter(logging.Filter(_host.name))
        handlers.append(logging.FileHandler(file))
    logger = logging.getLogger("devcluster")
    for handler in handlers:
        handler.setFormatter(_FORMAT)
    for former in logger.handlers:
        former.close()
    logger.handlers[:] = handlers
    logger.setLevel(logging.INFO)
    logger.propagate = False


class _Stderr(logging.StreamHandler[TextIO]):
    """Whatever stderr is at the moment: while a terminal shows rows, they put what is written above
    themselves."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def to_log(progress: Progress) -> None:
    """The report for what nobody asked for."""
    if not progress.travels:
        _host.info("%s", _render(progress))


def logged(report: Report) -> Report:
    """*report*, and the log as well."""

    def both(progress: Progress) -> None:
        if not progress.travels:  # how far a step is comes too often
            _told.info("%s", _render(progress))
        report(progress)

    return both


def _render(progress: Progress) -> str:
    took = f": done in {progress.seconds:.2f} s" if progress.seconds is not None else ""
    return f"{progress.subject}: {progress.text}{took}" if progress.subject else f"{progress.text}{took}"

"""What was begun, on disk before it begins.

One JSON object a line, flushed to the disk before the step runs.  A crash may tear the last line; whatever
can't be read at the end is taken as not written, since the step behind it had not begun.  The journal names
objects only; what stood in them before is in the workload's Secret.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """``state``: ``begin`` or ``done``.  ``step``: the step's text.  ``subject``: what finds it again."""

    state: str
    step: str
    subject: tuple[tuple[str, str], ...] = ()
    at: str = ""


def render_entry(entry: Entry) -> str:
    return json.dumps(
        {"at": entry.at, "state": entry.state, "step": entry.step, "subject": dict(entry.subject)}
    )


def parse_entries(data: bytes) -> tuple[Entry, ...]:
    """Every whole line; the rest from the first torn one on is dropped."""
    entries = []
    for line in data.split(b"\n")[:-1]:
        try:
            item: dict[str, Any] = json.loads(line)
            subject = tuple(sorted(item["subject"].items()))
            entries.append(Entry(item["state"], item["step"], subject, item["at"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            break
    return tuple(entries)


def unfinished(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """What was begun and not said to be done, oldest first."""
    open_: dict[tuple[str, tuple[tuple[str, str], ...]], Entry] = {}
    for entry in entries:
        if entry.state == "begin":
            open_[entry.step, entry.subject] = entry
        else:
            open_.pop((entry.step, entry.subject), None)
    return tuple(open_.values())


class Journal:
    """An open journal; ``with Journal.open(path) as journal``."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self.path = path

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Makes the file, and its folder, private; cuts a torn last line off."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole != len(data):
            os.ftruncate(descriptor, whole)
        return cls(descriptor, path)

    def begin(self, step: str, **subject: str) -> Entry:
        """On disk when this returns; ``done`` takes what it gives."""
        return self._append(Entry("begin", step, tuple(sorted(subject.items())), _now()))

    def done(self, entry: Entry) -> None:
        self._append(Entry("done", entry.step, entry.subject, _now()))

    def read(self) -> tuple[Entry, ...]:
        return parse_entries(self.path.read_bytes())

    def clear(self) -> None:
        """Everything is undone."""
        os.ftruncate(self._descriptor, 0)
        os.fsync(self._descriptor)

    def _append(self, entry: Entry) -> Entry:
        os.write(self._descriptor, render_entry(entry).encode() + b"\n")
        os.fsync(self._descriptor)
        return entry

    def close(self) -> None:
        os.close(self._descriptor)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

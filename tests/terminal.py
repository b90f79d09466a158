"""A terminal of a given size, and what stands on its screen."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyte


@dataclass(frozen=True, slots=True)
class Seen:
    """``lines``: the screen at the end, scrolled-off lines first, without blanks at their ends; ``raw``: all
    that was sent to it; ``moments``: the screen each time before something on it is drawn anew."""

    lines: tuple[str, ...]
    raw: bytes
    code: int
    moments: tuple[tuple[str, ...], ...]


def run_in_terminal(
    command: Sequence[str], folder: Path, environ: Mapping[str, str], *, width: int = 80, timeout: float = 60
) -> Seen:
    """*command* with all three streams there, to its end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    parts: list[bytes] = []
    reading = threading.Thread(target=_read_all, args=(ours, parts))
    reading.start()
    try:
        with subprocess.Popen(
            command, cwd=folder, env=dict(environ), stdin=theirs, stdout=theirs, stderr=theirs
        ) as process:
            os.close(theirs)
            code = process.wait(timeout)
        reading.join(timeout)
    finally:
        os.close(ours)
    return _seen(parts, width, code)


def _read_all(descriptor: int, parts: list[bytes]) -> None:
    with contextlib.suppress(OSError):  # Linux says EIO where the other end is closed
        while part := os.read(descriptor, 65536):
            parts.append(part)


def _seen(parts: Sequence[bytes], width: int, code: int) -> Seen:
    screen = pyte.HistoryScreen(width, 24, history=1000, ratio=1)
    stream = pyte.ByteStream(screen)
    moments = []
    raw = b"".join(parts)
    for part in re.split(rb"(?=\r\x1b\[2K)", raw):
        stream.feed(part)
        moments.append(_lines(screen))
    return Seen(moments[-1], raw, code, tuple(moments))


def _lines(screen: pyte.HistoryScreen) -> tuple[str, ...]:
    above = ["".join(line[at].data for at in range(screen.columns)) for line in screen.history.top]
    lines = [line.rstrip() for line in (*above, *screen.display)]
    while lines and not lines[-1]:
        lines.pop()
    return tuple(lines)

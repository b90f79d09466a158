"""CPU and memory of this machine's processes, from /proc: what the kernel counted, whatever else it was busy
with."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Usage:
    """``share``: of one core, in the time between; ``memory``: resident bytes at its end."""

    share: float
    memory: int


def find_process(line: Callable[[str], bool], hostname: str = "") -> int:
    """The id of the one process with such a command *line*, and that *hostname* if there is one: in a pod it
    is the pod's name."""
    found = []
    for folder in _PROC.glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            if line(words) and (not hostname or _hostname(folder) == hostname):
                found.append(int(folder.name))
        except OSError:
            continue
    assert len(found) == 1, f"{len(found)} processes instead of one"
    return found[0]


def _hostname(folder: Path) -> str:
    return (folder / "root/etc/hostname").read_text().strip()


async def measure(processes: Mapping[str, int], wait: Callable[[], Awaitable[None]]) -> dict[str, Usage]:
    """By name, what *processes* took while *wait* waited."""
    before, began = {name: _cpu(it) for name, it in processes.items()}, time.monotonic()
    await wait()
    took = time.monotonic() - began
    return {name: Usage((_cpu(it) - before[name]) / took, _memory(it)) for name, it in processes.items()}


def _cpu(process: int) -> float:
    """Seconds, user and system."""
    fields = (_PROC / str(process) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(process: int) -> int:
    return int((_PROC / str(process) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

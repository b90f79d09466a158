"""What else copies a pod's files: ``kubectl cp``, and ``rsync`` over ``kubectl exec``."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

Run = Callable[..., Awaitable[str]]
_SHELL = '#!/bin/sh\npod=$1; shift\nexec kubectl -n {namespace} exec -i "$pod" -c web -- "$@"\n'


async def time_copies(run: Run, namespace: str, pod: str, path: str) -> dict[str, str]:
    """By the tool's name: seconds for *path* of *pod* to a folder here, and back to another path.  *run*: a
    command, to its end."""
    with tempfile.TemporaryDirectory() as name:
        here, there, back = Path(name), f"{pod}:{path}", f"{pod}:{path}-copied"
        copy = ("kubectl", "-n", namespace, "cp", "-c", "web")
        rows = {
            "`kubectl cp`": [
                await _time(run, *copy, there, str(here / "copied")),
                await _time(run, *copy, str(here / "copied"), back),
            ]
        }
        shell = here / "shell"
        shell.write_text(_SHELL.format(namespace=namespace))
        shell.chmod(0o700)
        assert shutil.which("rsync"), "rsync is not installed here"
        sync = ("rsync", "-a", "--blocking-io", "-e", str(shell))
        rows["`rsync` over `kubectl exec`"] = [
            await _time(run, *sync, there, str(here / "synced")),
            await _time(run, *sync, str(here / "synced"), back + "-again"),
        ]
    return {tool: " / ".join(f"{it:.1f} s" for it in times) for tool, times in rows.items()}


async def _time(run: Run, *words: str) -> float:
    began = time.monotonic()
    await run(*words)
    return time.monotonic() - began

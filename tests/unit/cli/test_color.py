"""Colours are for a terminal; a file, a pipe and NO_COLOR get none."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = str(Path(__file__).resolve().parents[3])


def _doctor(folder: Path, *words: str, terminal: bool, **environ: str) -> str:
    """What ``doctor`` says where there is neither engine nor cluster."""
    command = [sys.executable, "-m", "devcluster", "doctor", *words]
    environment = {
        name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")
    }
    environment |= {"PYTHONPATH": _ROOT, "KUBECONFIG": str(folder / "none"), "TERM": "xterm"}
    environment |= {"DOCKER_HOST": f"unix://{folder}/none.sock"} | environ
    if not terminal:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60
        )
        return done.stdout
    ours, theirs = pty.openpty()
    try:
        subprocess.run(command, cwd=folder, env=environment, stdout=theirs, stderr=theirs, timeout=60)
        os.close(theirs)
        return _read_all(ours)
    finally:
        os.close(ours)


def _read_all(descriptor: int) -> str:
    parts = []
    try:
        while part := os.read(descriptor, 65536):
            parts.append(part)
    except OSError:  # Linux says EIO where the other end is closed
        pass
    return b"".join(parts).decode()


@pytest.mark.parametrize(
    ("words", "terminal", "environ", "colored"),
    [
        ((), True, {}, True),
        ((), False, {}, False),
        (("--no-color",), True, {}, False),
        ((), True, {"NO_COLOR": "1"}, False),
    ],
)
def test_colors_are_for_a_terminal(
    tmp_path: Path, words: tuple[str, ...], terminal: bool, environ: dict[str, str], colored: bool
) -> None:
    said = _doctor(tmp_path, *words, terminal=terminal, **environ)
    assert "docker" in said
    assert ("\x1b[" in said) is colored

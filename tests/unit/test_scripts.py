"""What the scripts do with a word that they don't know: their own usage and 2, before anything is set up."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH with nothing on it that could set anything up."""
    for name in ("bash", "dirname", "sed"):
        found = shutil.which(name)
        assert found
        (tmp_path / name).symlink_to(found)
    return tmp_path


def _run(tools: Path, script: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(tools / "bash"), str(ROOT / "scripts" / script), *words]
    env = {"PATH": str(tools), "DEVCLUSTER_SETUP_MACHINE": "no"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("demo.sh", ("--context",)),
        ("demo.sh", ("--context", "")),
        ("demo.sh", ("kind-dev",)),
        ("test.sh", ("everything",)),
    ],
)
def test_a_wrong_word_is_answered_by_the_usage(tools: Path, script: str, words: tuple[str, ...]) -> None:
    done = _run(tools, script, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.rstrip() == _head(script)


@pytest.mark.parametrize("script", ["demo.sh", "test.sh"])
def test_help_is_the_result(tools: Path, script: str) -> None:
    done = _run(tools, script, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.rstrip() == _head(script)


def _head(script: str) -> str:
    """The comment at the top, which is all that a reader of the file is told as well."""
    lines = (ROOT / "scripts" / script).read_text().splitlines()[1:]
    end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join(line[1:].removeprefix(" ") for line in lines[:end])

"""What every test stands on: a state folder of its own, and the test cluster for those that ask.

A test that would write to the real home directory fails: HOME does not exist while tests run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SANDBOX = "test"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes minutes; run by `scripts/test.sh slow`")


@pytest.fixture(scope="session", autouse=True)
def private_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """State goes to a temporary folder; caches (Go's, the sandbox's) stay where they were."""
    home = Path(os.environ.get("HOME", "/root"))
    keep = {
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(home / ".cache")),
        "GOCACHE": os.environ.get("GOCACHE", str(home / ".cache" / "go-build")),
        "GOMODCACHE": os.environ.get("GOMODCACHE", str(home / "go" / "pkg" / "mod")),
    }
    state = tmp_path_factory.mktemp("state")
    patch = pytest.MonkeyPatch()
    for name, value in keep.items():
        patch.setenv(name, value)
    patch.setenv("HOME", "/nonexistent/home-of-tests")
    patch.setenv("XDG_STATE_HOME", str(state))
    patch.delenv("KUBECONFIG", raising=False)
    yield state
    patch.undo()


@pytest.fixture(scope="session")
def kubeconfig(private_home: Path) -> Iterator[Path]:
    """The kubeconfig of a running sandbox; ``DEVCLUSTER_TEST_KUBECONFIG`` names another cluster's.

    With ``DEVCLUSTER_TEST_KEEP`` set the sandbox stays for the next run.
    """
    given = os.environ.get("DEVCLUSTER_TEST_KUBECONFIG")
    if given:
        yield Path(given)
        return
    keep = os.environ.get("DEVCLUSTER_TEST_KEEP")
    environ = dict(os.environ)
    if keep:
        environ["XDG_STATE_HOME"] = environ["XDG_CACHE_HOME"]
    _sandbox(environ, "up")
    path = _sandbox(environ, "kubeconfig").strip()
    yield Path(path)
    if not keep:
        _sandbox(environ, "down")


def _sandbox(environ: dict[str, str], *words: str) -> str:
    command = [sys.executable, "-m", "devcluster", "sandbox", *words, "--name", SANDBOX]
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True, timeout=3000)
    return done.stdout

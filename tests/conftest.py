"""What every test stands on: a state folder of its own, and the test cluster for those that ask.

A test that would write to the real home directory fails: HOME does not exist while tests run.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.scheduling import ByScenario

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell's background job; ^C is tested here
        signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
    settings.load_profile("untimed")
    config.addinivalue_line("markers", "slow: takes minutes; run by `scripts/test.sh slow`")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByScenario:
    return ByScenario(config, log)


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
def kubeconfig() -> Path:
    """The test cluster's, which ``scripts/test.sh`` has started; several processes share it."""
    given = os.environ.get("DEVCLUSTER_TEST_KUBECONFIG")
    assert given, "this test needs a cluster: scripts/test.sh only ARGS, or DEVCLUSTER_TEST_KUBECONFIG"
    return Path(given)

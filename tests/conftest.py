"""What every test stands on: a state folder of its own, and the test cluster for those that ask.

A test that would write to the real home directory fails: HOME does not exist while tests run, nor afterwards.
What tests print, such as how long a promise took, stands at the end of the run under "figures".
"""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.scheduling import ByScenario, turn

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell's background job; ^C is tested here
        signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
    settings.load_profile("untimed")
    config.addinivalue_line("markers", "slow: takes minutes, or is one more variant; `scripts/test.sh slow`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: turn(config.rootpath, item.nodeid))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """pytest shows what failed tests have printed; figures come from those that passed."""
    passed = [it for it in terminalreporter.getreports("passed") if it.when == "call"]
    said = sorted((it.nodeid, it.capstdout.splitlines()) for it in passed if "/unit/" not in it.nodeid)
    rows = [(nodeid.partition("::")[2], line) for nodeid, lines in said for line in lines]
    if rows:
        terminalreporter.section("figures")
        for name, line in rows:
            terminalreporter.line(f"{name}: {line}")


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
        "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(home / ".rustup")),  # pip asks rustc who it is
    }
    state = tmp_path_factory.mktemp("state")
    none = Path("/nonexistent") / f"home-{secrets.token_hex(4)}"
    patch = pytest.MonkeyPatch()
    for name, value in keep.items():
        patch.setenv(name, value)
    patch.setenv("HOME", str(none))
    patch.setenv("XDG_CONFIG_HOME", str(state / "config"))  # where Go counts its runs
    patch.setenv("XDG_STATE_HOME", str(state))
    patch.delenv("KUBECONFIG", raising=False)
    yield state
    patch.undo()
    assert not none.exists(), f"a test wrote to its home directory: {list(none.rglob('*'))}"


@pytest.fixture(scope="session")
def kubeconfig() -> Path:
    """The test cluster's, which ``scripts/test.sh`` has started; several processes share it."""
    given = os.environ.get("DEVCLUSTER_TEST_KUBECONFIG")
    assert given, "this test needs a cluster: scripts/test.sh only ARGS, or DEVCLUSTER_TEST_KUBECONFIG"
    return Path(given)

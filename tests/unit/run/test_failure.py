"""What stopped half-way and was put back ends with 1, whoever is to blame; the cause is in the text."""

from __future__ import annotations

import asyncio

import pytest

from devcluster.edge.kube.answer import ForbiddenError, UnreachableError
from devcluster.errors import (
    ConfigurationError,
    DevclusterError,
    EngineError,
    FailedError,
    HeldError,
    LeftoverError,
    RemainsError,
    UnservedError,
)
from devcluster.run.cluster.install import BusyError
from devcluster.run.host.failure import (
    end_notes,
    failure_of,
    left_error,
    put_back_error,
    remains_of,
)


@pytest.mark.parametrize(
    "cause",
    [
        ConfigurationError("no such sysctl", hint="see `sysctls`"),
        ForbiddenError("cannot watch pods", hint="`devcluster role`"),
        UnreachableError("nobody answers"),
        EngineError("Docker has gone"),
        FailedError("it ended with 3"),
    ],
)
def test_what_was_put_back_has_failed(cause: DevclusterError) -> None:
    error = put_back_error(cause, "deployment/web was put back")
    assert (error.exit_code, error.hint) == (1, cause.hint)
    assert str(error) == f"{cause}; deployment/web was put back"


@pytest.mark.parametrize("cause", [HeldError("bob has it"), BusyError("just now"), LeftoverError("a Secret")])
def test_a_conflict_and_what_is_left_over_say_it_themselves(cause: DevclusterError) -> None:
    assert put_back_error(cause, "deployment/web was put back") is cause


@pytest.mark.parametrize(
    ("broken", "text", "expected"),
    [
        (FailedError("it ended with 3"), "it ended with 3", True),
        (ExceptionGroup("all", [HeldError("bob has it")]), "bob has it", True),
        (asyncio.CancelledError(), "interrupted", False),
        (KeyError("a value of the environment"), "a bug: KeyError", False),
    ],
)
def test_what_stopped_an_attempt(broken: BaseException, text: str, expected: bool) -> None:
    failure = failure_of(broken)
    assert (str(failure.error), failure.expected) == (text, expected)


def test_what_could_not_be_put_back_is_left_over() -> None:
    error = left_error(FailedError("it ended"), KeyError("a value"), "deployment/web", "shop")
    assert isinstance(error, LeftoverError)
    assert str(error) == "it ended; putting deployment/web back failed too: a bug: KeyError"
    assert "devcluster down -n shop" in error.hint


def test_what_live_volumes_could_not_bring_over_remains() -> None:
    other = RemainsError("a ConfigMap stays")
    assert remains_of("deployment/web", (), other) is other
    remains = remains_of("deployment/web", ("uploads: 3 files",), other)
    assert remains is not None
    assert "uploads: 3 files" in remains.message
    assert "a ConfigMap stays" in remains.message


def test_what_remains_is_an_error_or_with_tolerance_a_note() -> None:
    remains = RemainsError("a ConfigMap stays")
    with pytest.raises(RemainsError):
        end_notes("deployment/web", remains, "it waits", tolerant=False)
    with pytest.raises(UnservedError, match="deployment/web was handed back, but does not serve: it waits"):
        end_notes("deployment/web", None, "it waits", tolerant=False)
    notes = end_notes("deployment/web", remains, "it waits", tolerant=True)
    assert notes == ["a ConfigMap stays", "it does not serve: it waits"]
    assert end_notes("deployment/web", None, "", tolerant=False) == []

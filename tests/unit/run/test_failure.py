"""What stopped half-way and was put back ends with 1, whoever is to blame; the cause is in the text."""

from __future__ import annotations

import pytest

from devcluster.edge.kube.answer import ForbiddenError, UnreachableError
from devcluster.errors import (
    ConfigurationError,
    DevclusterError,
    EngineError,
    FailedError,
    HeldError,
    LeftoverError,
)
from devcluster.run.cluster.install import BusyError
from devcluster.run.host.failure import put_back_error


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

"""What is told of a failure after which everything was put back.

The cause keeps its exit code, except one: what the Docker engine refused is no engine that can't be reached.
"""

from __future__ import annotations

from devcluster.edge.docker.engine import GoneError, RefusedError
from devcluster.errors import (
    ClusterError,
    ConfigurationError,
    DevclusterError,
    EngineError,
    FailedError,
    HeldError,
    LeftoverError,
)
from devcluster.run.workload.install import BusyError

_KEEP_THEIR_CODE = (ConfigurationError, ClusterError, EngineError)


def told(cause: DevclusterError, put_back: str) -> DevclusterError:
    """*cause* and that *put_back*; a conflict says itself what became of it."""
    if isinstance(cause, HeldError | BusyError | LeftoverError):
        return cause
    refused = isinstance(cause, RefusedError | GoneError)
    kinds = (it for it in _KEEP_THEIR_CODE if isinstance(cause, it) and not refused)
    kind: type[DevclusterError] = next(kinds, FailedError)
    return kind(f"{cause}; {put_back}", hint=cause.hint)

"""What became of several workloads: a row for each, or one error that tells of all that failed.

The naive way, to raise the first error, hides the others, and with them what is left over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from devcluster.errors import (
    ClusterError,
    ConfigurationError,
    DevclusterError,
    EngineError,
    FailedError,
    LeftoverError,
    joined,
    kind_of,
)
from devcluster.rules.cluster.identity import WorkloadRef, parse_title
from devcluster.rules.outcome import end_of

Json = dict[str, Any]


async def settle(*work: Coroutine[Any, Any, Json]) -> list[Json | BaseException]:
    """All at once; if some fail the others still go on to their end."""
    return list(await asyncio.gather(*work, return_exceptions=True))


def rows_of(results: Sequence[Json | BaseException]) -> list[Json]:
    """The rows, if nothing failed; otherwise the errors as one, which also names what was done.

    A bug is raised as it is, unless something is left over: that matters more to the reader.
    """
    rows = [result for result in results if not isinstance(result, BaseException)]
    failed = [result for result in results if isinstance(result, BaseException)]
    expected = [error for error in failed if isinstance(error, DevclusterError)]
    bugs = [error for error in failed if not isinstance(error, DevclusterError)]
    if bugs and not any(isinstance(error, LeftoverError) for error in expected):
        raise bugs[0]
    if expected:
        expected += [FailedError(f"a bug in devcluster: {type(bug).__name__}") for bug in bugs]
        raise _beside(rows, joined(expected)) from failed[0]
    return rows


def end_row(name: str, title: str, notes: Sequence[str], *, removed: bool = True) -> Json:
    """The row of a workload that is not held any more; *title*: which one it is, in the cluster."""
    return {"name": name, "title": title, "outcome": end_of(removed=removed), "detail": [title, *notes]}


def ended_ref(row: Json, namespace: str) -> WorkloadRef:
    """Which workload *row*, as ``end_row`` makes it, is about."""
    return parse_title(row["title"], namespace)


def half_way(results: Sequence[Json | BaseException]) -> list[Json | BaseException]:
    """*results* of what belongs together.  If one was done, or put back, the others stopped it half-way and
    are told so, whoever is to blame (exit code 1); otherwise nothing had begun."""
    begun = any(
        not isinstance(it, BaseException) or isinstance(it, FailedError | LeftoverError) for it in results
    )
    return [_stopped(it) if begun else it for it in results]


def _stopped(result: Json | BaseException) -> Json | BaseException:
    if isinstance(result, ClusterError | EngineError | ConfigurationError):
        return FailedError(result.message, hint=result.hint)
    return result


def _beside(rows: Sequence[Json], error: DevclusterError) -> DevclusterError:
    if not rows:
        return error
    done = ", ".join(f"{row['name']} {row['outcome']}" for row in rows)
    hints = [error.hint] if error.hint else []
    hints.append(f"these succeeded: {done}; `devcluster status` shows them")
    return kind_of(error)(error.message, hint="\n".join(hints))

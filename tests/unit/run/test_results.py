"""Several workloads at once: one error tells of all that failed, with the code of the gravest."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from devcluster.edge.docker.engine import EngineRefusedError
from devcluster.errors import (
    ClusterError,
    ConfigurationError,
    DevclusterError,
    FailedError,
    HeldError,
    LeftoverError,
)
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.run.host.results import end_row, ended_ref, half_way, rows_of

_ROW = {"name": "web", "outcome": "created", "detail": []}
_FAILED = FailedError("it ended with 3; deployment/api was put back", hint="see its log")
_REFUSED = EngineRefusedError("can't start it", explanation="no such device", status=500)
_LEFT = LeftoverError("the template stays", hint="`devcluster down -n shop` finishes it")


@pytest.mark.parametrize(("removed", "outcome"), [(True, "put back"), (False, "left")])
def test_the_row_of_what_is_not_held_any_more(removed: bool, outcome: str) -> None:
    row = end_row("front", "statefulset/web", ["somebody else changed it"], removed=removed)
    assert row == {
        "name": "front",
        "title": "statefulset/web",
        "outcome": outcome,
        "detail": ["statefulset/web", "somebody else changed it"],
    }
    said = row | {"detail": ["words for people"]}
    assert ended_ref(said, "shop") == WorkloadRef("statefulset", "shop", "web")


def test_rows_where_nothing_failed() -> None:
    assert rows_of([_ROW]) == [_ROW]


@pytest.mark.parametrize("results", list(itertools.permutations([_FAILED, _REFUSED, _LEFT, _ROW])))
def test_what_is_left_over_is_told_whichever_failed_first(results: list[dict[str, object]]) -> None:
    with pytest.raises(LeftoverError) as caught:
        rows_of(results)
    for error in (_FAILED, _REFUSED, _LEFT):
        assert error.message in caught.value.message
        assert error.hint in caught.value.hint
    assert caught.value.exit_code == 7


def test_one_failure_is_told_as_it_is() -> None:
    with pytest.raises(DevclusterError) as caught:
        rows_of([_ROW, HeldError("bob has it")])
    assert (caught.value.message, caught.value.exit_code) == ("bob has it", 6)


@pytest.mark.parametrize("other", [_ROW, _FAILED])
def test_what_stopped_the_others_half_way_ends_with_1(other: Any) -> None:
    denied = ClusterError("the API server denied it", hint="its webhook says why")
    with pytest.raises(FailedError) as caught:
        rows_of(half_way([other, denied]))
    assert denied.message in caught.value.message
    assert denied.hint in caught.value.hint


def test_where_nothing_had_begun_the_cause_keeps_its_code() -> None:
    with pytest.raises(ClusterError):
        rows_of(half_way([ClusterError("denied"), ConfigurationError("no such port")]))


def test_a_bug_stays_one_unless_something_is_left_over() -> None:
    with pytest.raises(KeyError):
        rows_of([_FAILED, KeyError("planted")])
    with pytest.raises(LeftoverError) as caught:
        rows_of([KeyError("planted"), _LEFT])
    assert "a bug in devcluster: KeyError" in caught.value.message
    assert "planted" not in caught.value.message

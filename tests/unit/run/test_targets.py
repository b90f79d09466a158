"""Two keys of one workload, by words that only the cluster can compare."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from devcluster.errors import ConfigurationError
from devcluster.rules.cluster.identity import WorkloadRef, parse_title
from devcluster.run.wanted.wanted import Wanted, check_targets

REF = WorkloadRef("deployment", "shop", "web")


def wanted(key: str, title: str) -> Wanted:
    return cast("Wanted", SimpleNamespace(ref=parse_title(title, "shop"), workload=SimpleNamespace(key=key)))


def test_the_second_of_two_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"workloads\.b: deployment/web is the target of a already"):
        check_targets([wanted("a", "deployment/web"), wanted("b", "deployment/web")], {})


def test_so_is_what_another_key_holds() -> None:
    with pytest.raises(
        ConfigurationError, match=r"workloads\.b: deployment/web is the target of a"
    ) as caught:
        check_targets(
            [wanted("b", "deployment/web")], {"a": REF, "c": WorkloadRef("deployment", "shop", "api")}
        )
    assert caught.value.hint == "`devcluster down a` gives it back"


def test_each_has_its_own() -> None:
    check_targets(
        [wanted("a", "statefulset/web"), wanted("b", "deployment/api")],
        {"c": REF, "d": WorkloadRef("statefulset", "shop", "api")},
    )

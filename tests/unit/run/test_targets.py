"""Two keys of one workload, by words that only the cluster can compare."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from devcluster.errors import ConfigurationError
from devcluster.run.workload.wanted import Wanted, check_targets


def wanted(key: str, title: str) -> Wanted:
    return cast("Wanted", SimpleNamespace(title=title, workload=SimpleNamespace(key=key)))


def test_the_second_of_two_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"workloads\.b: deployment/web is the target of a already"):
        check_targets([wanted("a", "deployment/web"), wanted("b", "deployment/web")], {})


def test_so_is_what_another_key_holds() -> None:
    with pytest.raises(
        ConfigurationError, match=r"workloads\.b: deployment/web is the target of a"
    ) as caught:
        check_targets([wanted("b", "deployment/web")], {"a": "deployment/web", "c": "deployment/api"})
    assert caught.value.hint == "`devcluster down a` gives it back"


def test_each_has_its_own() -> None:
    check_targets([wanted("a", "deployment/web"), wanted("b", "deployment/api")], {"c": "deployment/db"})

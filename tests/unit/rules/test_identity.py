"""Kind, namespace and name say together which workload is meant."""

from __future__ import annotations

import pytest

from devcluster.config.model import Target
from devcluster.rules.cluster.identity import WorkloadRef, find_meant, means, parse_title
from devcluster.rules.cluster.marks import secret_name

DEPLOYED = WorkloadRef("deployment", "shop", "web")
STATEFUL = WorkloadRef("statefulset", "shop", "web")
ELSEWHERE = WorkloadRef("deployment", "other", "web")


def test_in_words() -> None:
    assert str(STATEFUL) == "statefulset/web"
    assert STATEFUL.full_name == "statefulset/web in namespace shop"
    assert STATEFUL.path == ("statefulset", "web", "shop")
    assert sorted([STATEFUL, DEPLOYED, ELSEWHERE]) == [ELSEWHERE, DEPLOYED, STATEFUL]


@pytest.mark.parametrize("title", ["web", "/web", "deployment/", "deployment/web/web", ""])
def test_what_is_no_title(title: str) -> None:
    with pytest.raises(ValueError, match="is not kind/name"):
        parse_title(title, "shop")


def test_there_and_back() -> None:
    assert parse_title(str(STATEFUL), "shop") == STATEFUL


def test_the_secrets_of_two_kinds_never_meet() -> None:
    assert secret_name(DEPLOYED) == "devcluster-deployment-web"
    assert secret_name(STATEFUL) == "devcluster-statefulset-web"


@pytest.mark.parametrize(
    ("target", "own", "meant"),
    [
        (Target("web", "statefulset"), (), (STATEFUL,)),
        (Target("web", "daemonset"), (), ()),
        (Target("web"), (), ()),
        (Target("web"), (DEPLOYED,), (DEPLOYED,)),
        (Target("web"), (STATEFUL,), (STATEFUL,)),
        (Target("web"), (DEPLOYED, STATEFUL), (DEPLOYED, STATEFUL)),
        (Target("api"), (DEPLOYED,), ()),
    ],
)
def test_of_two_kinds_a_bare_name_means_our_own(
    target: Target, own: tuple[WorkloadRef, ...], meant: tuple[WorkloadRef, ...]
) -> None:
    assert find_meant(target, (STATEFUL, DEPLOYED), own) == meant


def test_a_bare_name_means_the_only_one() -> None:
    assert find_meant(Target("web"), (STATEFUL,)) == (STATEFUL,)
    assert find_meant(Target("web"), (ELSEWHERE, DEPLOYED)) == (ELSEWHERE, DEPLOYED)
    assert means(Target("web"), STATEFUL)
    assert not means(Target("web", "deployment"), STATEFUL)

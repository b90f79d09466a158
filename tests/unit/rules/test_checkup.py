"""What doctor makes of what it saw: each border, and that one kind of lane is enough."""

from __future__ import annotations

import datetime

import pytest

from devcluster.rules.checkup import (
    OLDEST_KUBERNETES,
    check_clock,
    check_disk,
    check_expiry,
    check_networks,
    check_rights,
    check_version,
)
from devcluster.rules.rights import RIGHTS

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("version", "state"), [("v1.24.17", "bad"), ("v1.25.0", "ok"), ("v1.34.4+k3s1", "ok"), ("v2.0.0", "ok")]
)
def test_version(version: str, state: str) -> None:
    assert check_version("cluster", version, OLDEST_KUBERNETES, "it", 4).state == state


@pytest.mark.parametrize(
    ("free", "state"), [(None, "ok"), (5 << 30, "ok"), ((5 << 30) - 1, "warning"), ((1 << 30) - 1, "bad")]
)
def test_disk(free: int | None, state: str) -> None:
    assert check_disk(free).state == state


@pytest.mark.parametrize(
    ("kind", "minutes", "state"),
    [
        ("a token", None, "ok"),
        ("a token", 11, "ok"),
        ("a token", 9, "warning"),
        ("a token, by the plugin x", 9, "ok"),
        ("a token", 0, "bad"),
        ("a client certificate", -1, "bad"),
    ],
)
def test_expiry(kind: str, minutes: int | None, state: str) -> None:
    expires = None if minutes is None else NOW + datetime.timedelta(minutes=minutes)
    assert check_expiry(kind, expires, NOW).state == state


@pytest.mark.parametrize(
    ("skew", "state", "word"),
    [
        (5.0, "ok", ""),
        (-5.0, "ok", ""),
        (6.0, "warning", "ahead of"),
        (-6.0, "warning", "behind"),
        (301.0, "bad", "ahead of"),
        (None, "warning", ""),
    ],
)
def test_clock(skew: float | None, state: str, word: str) -> None:
    check = check_clock(skew)
    assert check.state == state
    assert word in check.text
    assert bool(check.remedy) == (state != "ok")


def test_networks() -> None:
    seen = [("10.96.0.10", "service dns"), ("10.244.0.7", "pod web")]
    (clear,) = check_networks({"bridge": "172.17.0.0/16"}, seen)
    assert clear.state == "ok"
    (meets,) = check_networks({"bridge": "172.17.0.0/16", "mine": "10.244.0.0/16"}, seen)
    assert meets.state == "warning"
    assert "mine (10.244.0.0/16) holds the cluster's address 10.244.0.7 (pod web)" in meets.text


@pytest.mark.parametrize("right", RIGHTS, ids=str)
def test_one_missing_right_is_one_line(right: object) -> None:
    (line,) = check_rights([one for one in RIGHTS if one is right], len(RIGHTS), "shop")
    assert line.text.startswith(f"cannot {right} in namespace shop; what works without it: ")
    assert "devcluster role" in line.remedy


@pytest.mark.parametrize(
    ("resources", "state"),
    [
        ({"pods/proxy"}, "warning"),
        ({"pods/portforward"}, "warning"),
        ({"pods/proxy", "pods/portforward"}, "bad"),
    ],
)
def test_one_kind_of_lane_is_enough(resources: set[str], state: str) -> None:
    missing = [one for one in RIGHTS if one.resource in resources]
    assert {line.state for line in check_rights(missing, len(RIGHTS), "shop")} == {state}

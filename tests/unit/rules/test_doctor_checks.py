"""What doctor makes of what it saw: each border, and that one kind of lane is enough."""

from __future__ import annotations

import datetime
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.edge.docker.network import candidates
from devcluster.rules.advice.doctor import (
    OLDEST_KUBERNETES,
    check_clock,
    check_disk,
    check_expiry,
    check_networks,
    check_rights,
    check_version,
)
from devcluster.rules.advice.network_overlap import meets, neighbourhood
from devcluster.rules.cluster.rights import RIGHTS

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
    ("kind", "renewable", "minutes", "state"),
    [
        ("a token", False, None, "ok"),
        ("a token", False, 11, "ok"),
        ("a token", False, 9, "warning"),
        ("a token, by the plugin x", True, 9, "ok"),
        ("a token, of whatever plugin", False, 9, "warning"),  # words decide nothing
        ("a token", True, 9, "ok"),
        ("a token", False, 0, "bad"),
        ("a client certificate", True, -1, "bad"),
    ],
)
def test_expiry(kind: str, renewable: bool, minutes: int | None, state: str) -> None:
    expires = None if minutes is None else NOW + datetime.timedelta(minutes=minutes)
    assert check_expiry(kind, expires, NOW, renewable=renewable).state == state


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


SEEN = [("10.96.81.222", "service web"), ("10.96.0.10", "service dns"), ("10.244.0.7", "pod web")]


def test_networks_apart() -> None:
    (clear,) = check_networks({"bridge": "172.17.0.0/16"}, SEEN)
    assert clear.state == "ok"
    assert clear.text == (
        "none of 1 networks overlaps the cluster's 10.96.0.0/16 (service web has 10.96.81.222), "
        "10.244.0.0/16 (pod web has 10.244.0.7)"
    )
    many = [(f"10.{part}.0.1", "a pod") for part in range(9)]
    assert check_networks({"bridge": "172.17.0.0/16"}, many)[0].text.endswith(" and 5 more")


@pytest.mark.parametrize(
    ("subnet", "meeting"),
    [
        ("10.244.0.0/29", "10.244.0.0/16 (pod web has 10.244.0.7)"),
        ("10.0.0.0/8", "10.96.0.0/16 (service web has 10.96.81.222)"),
        ("10.96.200.0/24", "10.96.0.0/16 (service web has 10.96.81.222)"),
    ],
)
def test_a_network_meets_what_is_around_an_address(subnet: str, meeting: str) -> None:
    (line,) = check_networks({"bridge": "172.17.0.0/16", "mine": subnet}, SEEN)
    assert (line.subject, line.state) == ("docker", "warning")
    assert line.text == f"the Docker network mine ({subnet}) overlaps the cluster's {meeting}"
    assert "docker network rm mine" in line.remedy


def test_a_range_that_is_known_has_no_neighbours() -> None:
    seen = [("10.244.3.0/24", "node one")]
    assert check_networks({"mine": "10.244.4.0/24"}, seen)[0].state == "ok"
    (line,) = check_networks({"mine": "10.244.3.128/25"}, seen)
    assert "overlaps the cluster's 10.244.3.0/24 (node one)" in line.text


def test_networks_without_an_address_to_compare() -> None:
    (line,) = check_networks({"bridge": "172.17.0.0/16", "mine": "10.0.0.0/8"}, [])
    assert (line.subject, line.state) == ("docker", "ok")
    assert line.text == "found no address of the cluster to compare 2 networks with; `up` looks again"


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.integers(8, 30))
def test_doctor_warns_of_no_network_that_up_would_make(
    seen: IPv4Address, other: IPv4Address, length: int
) -> None:
    taken = (neighbourhood(seen),)
    free = [str(it) for it in candidates(taken)]
    for subnet in (str(IPv4Network((other, length), strict=False)), *free):
        (line,) = check_networks({"mine": subnet}, [(str(seen), "pod web")])
        assert (line.state == "ok") == (not meets(subnet, taken))


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

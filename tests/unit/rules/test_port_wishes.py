"""`devcluster run --port`: which port of the pod comes to which of the laptop."""

from __future__ import annotations

import pytest

from devcluster.errors import ConfigurationError
from devcluster.rules.ports.port_wishes import PortWish, Way, choose_ports, parse_port_wish

ONE = (Way("hello", 80, "", 5678), Way("other", 8080, "web", 5678))
TWO = (Way("shop", 80, "http", 8080), Way("shop", 9090, "metrics", 9102), Way("both", 90, "", 8080))
NAMES = {"http": 8080, "debug": 5005}


def choose(*wishes: str, ways: tuple[Way, ...] = TWO) -> dict[int, int]:
    return dict(choose_ports([parse_port_wish(it) for it in wishes], ways, NAMES))


@pytest.mark.parametrize(
    ("wish", "ways", "expected"),
    [
        ("3000", ONE, {5678: 3000}),
        ("5678", ONE, {5678: 5678}),
        ("3000:80", ONE, {5678: 3000}),
        ("3000:web", ONE, {5678: 3000}),
        ("8080", TWO, {8080: 8080}),
        ("9102", TWO, {9102: 9102}),
        ("80", TWO, {8080: 80}),
        ("3000:8080", TWO, {8080: 3000}),
        ("3000:http", TWO, {8080: 3000}),
        ("3000:metrics", TWO, {9102: 3000}),
        ("3000:9090", TWO, {9102: 3000}),
        ("3000:debug", TWO, {5005: 3000}),
        ("3000:5005", TWO, {5005: 3000}),
        ("http", TWO, {8080: 8080}),
        ("metrics", TWO, {9102: 9102}),
        ("web", ONE, {5678: 5678}),
    ],
)
def test_a_wish_means_one_port(wish: str, ways: tuple[Way, ...], expected: dict[int, int]) -> None:
    assert choose(wish, ways=ways) == expected


def test_all_of_a_pod_may_come_by_a_number_that_nobody_named() -> None:
    def all_of_it(wish: str) -> dict[int, int]:
        return dict(choose_ports([parse_port_wish(wish)], (), NAMES, whole=True))

    assert all_of_it("3000:9000") == {9000: 3000}
    assert all_of_it("9000") == {9000: 9000}
    assert all_of_it("3000:http") == {8080: 3000}
    with pytest.raises(ConfigurationError, match="--port 3000:grpc: there is no such port"):
        all_of_it("3000:grpc")


def test_several_wishes() -> None:
    assert choose("3000:http", "3001:metrics") == {8080: 3000, 9102: 3001}
    with pytest.raises(ConfigurationError, match="port 8080 of the pod comes to 3000 already"):
        choose("3000:http", "3001:8080")


def test_what_means_none_is_told_with_the_choices() -> None:
    with pytest.raises(ConfigurationError, match="--port 3000: Services lead to several ports") as caught:
        choose("3000")
    assert caught.value.hint == (
        "`--port 3000:8080` is what service/both leads to from its port 90\n"
        "`--port 3000:8080` is what service/shop leads to from its port 80\n"
        "`--port 3000:9102` is what service/shop leads to from its port 9090"
    )


def test_what_means_several_is_told() -> None:
    ways = (Way("a", 80, "", 8080), Way("b", 80, "", 9090))
    with pytest.raises(ConfigurationError, match="--port 3000:80: port 80 may be 8080 or 9090"):
        choose("3000:80", ways=ways)


@pytest.mark.parametrize(
    "text", ["", "0", "70000", "A", "80:", ":80", "http:", "1:2:3", "1:A", "1:70000", "0:80", "http:80"]
)
def test_what_is_no_wish(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_port_wish(text)


def test_a_wish_is_told_as_it_was_written() -> None:
    assert [str(parse_port_wish(it)) for it in ("80", "80:http", "http")] == ["80", "80:http", "http"]
    assert parse_port_wish("80") == PortWish(80)

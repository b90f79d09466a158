from __future__ import annotations

import pytest

from devcluster.rules.quantity import parse_quantity, render_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64Mi", 67108864),
        ("1G", 10**9),
        ("1.5Gi", 1610612736),
        ("1e3", 1000),
        ("500m", 1),
        ("7", 7),
        ("2k", 2000),
    ],
)
def test_parse(text: str, size: int) -> None:
    assert parse_quantity(text) == size


@pytest.mark.parametrize("text", ["", "Mi", "1 Mi", "1Mb"])
def test_not_a_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        parse_quantity(text)


def test_render() -> None:
    assert [render_bytes(size) for size in (1 << 30, 304 << 20, 1000, 0)] == ["1Gi", "304Mi", "1000", "0"]

"""Interpolation, env files, durations and sizes: as Compose reads them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.config.text.dotenv import parse_dotenv
from devcluster.config.text.interpolate import interpolate
from devcluster.config.text.units import parse_duration, parse_size, render_duration, render_size

SET = {"A": "a", "E": "", "D": "$A"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A${A}", "aa"),
        ("$Ab", ""),
        ("$$A $$$A", "$A $a"),
        ("${N:-x}${N-x}${E:-x}${E-x}${A:-x}", "xxxa"),
        ("${A:+x}${E:+x}${E+x}${N+x}", "xx"),
        ("${N:-${E:-${A}}}", "a"),
        ("${N:-a}b}", "ab}"),
        ("${N:-$$}", "$"),
        ("${D}", "$A"),
        ("${A:?no}${E?no}", "a"),
    ],
)
def test_variables(text: str, expected: str) -> None:
    assert interpolate(text, SET.get) == expected


@pytest.mark.parametrize(
    "text", ["$", "$1", "${", "${}", "${A", "${A!x}", "${N:?}", "${N?why}", "${E:?why}", "a$ b"]
)
def test_what_is_no_variable(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        interpolate(text, SET.get)


def test_the_error_of_the_file_is_told() -> None:
    with pytest.raises(ValueError, match=r"N is required but not set: set it in \.env"):
        interpolate("${N:?set it in .env}", SET.get)


@given(st.text(alphabet="${}A:-+?x "))
def test_interpolation_ends_or_says_why(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(interpolate(text, SET.get), str)


def test_env_file() -> None:
    text = (
        "\ufeff# head\r\n"
        "PLAIN=a b # comment\n"
        "HASH=a#b\n"
        "export EXPORTED = x\n"
        "SINGLE='$A \\n # \"'  # comment\n"
        'DOUBLE="$A\\n\\$A \\"q\\""\n'
        "LINES='one\ntwo'\n"
        "COLON: y\n"
        "EMPTY=\n"
        "COLOR=#fff # white\n"
        "NOTHING= # but a comment\n"
        "ALONE\n"
        "BEFORE=${HASH}-$A\n"
        "\n  INDENTED=1"
    )
    assert parse_dotenv(text, SET.get) == {
        "PLAIN": "a b",
        "HASH": "a#b",
        "EXPORTED": "x",
        "SINGLE": '$A \\n # "',
        "DOUBLE": 'a\n$A "q"',
        "LINES": "one\ntwo",
        "COLON": "y",
        "EMPTY": "",
        "COLOR": "#fff",
        "NOTHING": "",
        "ALONE": None,
        "BEFORE": "a#b-a",
        "INDENTED": "1",
    }


def test_a_raw_env_file_is_left_as_it_is() -> None:
    assert parse_dotenv("A='x' # $B\nB=1\n", SET.get, raw=True) == {"A": "'x' # $B", "B": "1"}


@pytest.mark.parametrize(
    ("text", "line"),
    [("A=1\nB='hush", 2), ("=hush", 1), ("A='hush' hush", 1), ("A=${hush", 1), ("a b=hush", 1)],
)
def test_a_wrong_env_file_names_the_line_and_no_value(text: str, line: int) -> None:
    with pytest.raises(ValueError, match=f"^line {line}: ") as caught:
        parse_dotenv(text, SET.get)
    assert "hush" not in str(caught.value)


@given(st.text())
def test_no_env_file_crashes(text: str) -> None:
    try:
        result = parse_dotenv(text, SET.get)
    except ValueError:
        return
    assert all(name and "=" not in name for name in result)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15s", 15), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400), ("100us", 0.0001), ("2d", 172800)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert parse_duration(render_duration(seconds)) == seconds


@pytest.mark.parametrize("text", ["", " ", "15", "s", "1x", "-1s", "1s 2", "1e3s"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1GiB", 1 << 30),
        ("512m", 512 << 20),
        ("64kb", 65536),
        ("64K", 65536),
        ("10", 10),
        ("10b", 10),
        ("1.5g", 3 << 29),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size
    assert parse_size(render_size(size)) == size


@pytest.mark.parametrize("text", ["", "m", "1x", "-1", "1 GiB GiB", "1e3"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        parse_size(text)

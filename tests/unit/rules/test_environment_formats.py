"""Each format read back by what reads it: bash, json, yaml, and docker's rules for an env file."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from devcluster.errors import ConfigurationError
from devcluster.rules.container.environment_formats import can_carry, render_environment

PAIRS = (
    ("EMPTY", ""),
    ("QUOTES", """a'b"c`d"""),
    ("DOLLAR", "$HOME ${X} $(id) \\n"),
    ("EQUALS", "a=b==c"),
    ("UNICODE", "é漢😀"),
    ("SPACES", "  a  # b  "),
    ("WORD", "on"),
    ("NUMBER", "1e3"),
)
NEWLINE = ("KEYS", "one\ntwo\r\n\tthree\n")
NAMES = st.text(alphabet="ABC_xyz019", min_size=1, max_size=8)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


def read_docker(text: str) -> dict[str, str]:
    """As docker's cli reads --env-file: by \\n, one \\r dropped, blanks before the name cut, # skipped."""
    result = {}
    for line in text.split("\n"):
        line = line.removesuffix("\r").lstrip()
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            assert name == name.strip()
            result[name] = value
    return result


def test_shell_by_a_real_bash() -> None:
    script = render_environment((*PAIRS, NEWLINE), "sh") + "env -0"
    output = subprocess.run(["bash", "-c", script], env={}, capture_output=True, check=True).stdout
    got = dict(item.split("=", 1) for item in output.decode().split("\0") if item)
    assert {name: got[name] for name, _ in (*PAIRS, NEWLINE)} == dict((*PAIRS, NEWLINE))


@settings(max_examples=300)
@given(st.dictionaries(NAMES, VALUES))
def test_json_yaml_and_docker_give_the_same_back(variables: dict[str, str]) -> None:
    pairs = tuple(variables.items())
    assert json.loads(render_environment(pairs, "json")) == variables
    assert (yaml.safe_load(render_environment(pairs, "yaml")) or {}) == variables
    if all(can_carry("docker", *pair) for pair in pairs):
        assert read_docker(render_environment(pairs, "docker")) == variables


def test_docker_names_what_it_cannot_carry_and_who_can() -> None:
    with pytest.raises(ConfigurationError, match="docker can't carry KEYS") as caught:
        render_environment((*PAIRS, NEWLINE), "docker")
    assert "--format json" in caught.value.hint
    assert "three" not in str(caught.value) + caught.value.hint


def test_a_name_that_no_shell_knows() -> None:
    with pytest.raises(ConfigurationError, match=r"sh can't carry a\.b"):
        render_environment((("a.b", "x"),), "sh")


@pytest.mark.parametrize("name", ["UID", "EUID", "PPID", "SHELLOPTS", "RANDOM", "GROUPS"])
def test_a_name_that_bash_keeps_to_itself(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"sh can't carry {name}") as caught:
        render_environment(((name, "7"),), "sh")
    assert "--format docker" in caught.value.hint


def test_bytes_that_are_no_text_by_a_real_bash() -> None:
    value = b"a\xff\xe9'\n\xc3\xa9"
    pairs = (("BYTES", value.decode("utf-8", "surrogateescape")),)
    for form in ("docker", "json", "yaml"):
        with pytest.raises(ConfigurationError, match="can't carry BYTES") as caught:
            render_environment(pairs, form)
        assert "--format sh" in caught.value.hint
    script = render_environment(pairs, "sh").encode("utf-8", "surrogateescape") + b"env -0"
    output = subprocess.run(["bash"], input=script, env={}, capture_output=True, check=True).stdout
    assert b"BYTES=" + value in output.split(b"\0")


def test_nobody_carries_nul() -> None:
    for form in ("docker", "json", "sh", "yaml"):
        with pytest.raises(ConfigurationError, match=r"no format|can't carry X"):
            render_environment((("X", "a\0b"),), form)

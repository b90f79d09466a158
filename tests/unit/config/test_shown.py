"""What an error shows of the file: the wrong value, its line, a caret; never a value of the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.config.load import parse_project
from devcluster.errors import ConfigurationError

FILE = """\
name: shop
workloads:
  web:
    target: deployment/web
    environment:
      DB_USER: hunter2
      db_password: "hunter2"  # was hunter2
      KEY: |
        hunter2
        hunter2: hunter2
      URL: https://hunter2:hunter2@db/
    env_file: [web.env]
    ports: ["8080:80"]
  api:
    environment: {DB_USER: hunter2, DB_PASSWORD: 'hunter2'}
  job:
    environment:
      - DB_USER=hunter2
      - db_password=hunter2
"""


def message(text: str) -> str:
    """What is said about *text*; '' where nothing is wrong."""
    try:
        parse_project(
            text,
            path=Path("/home/ann/devcluster.yaml"),
            environ={},
            dotenv={},
            env_files=lambda path: "TOKEN=hunter2\n",
        )
    except ConfigurationError as error:
        return str(error)
    return ""


def of_workload(settings: str) -> str:
    lines = "".join(f"    {line}\n" for line in settings.split("\n"))
    return message(f"workloads:\n  w:\n{lines}")


def test_the_file_of_these_tests_is_right() -> None:
    assert message(FILE) == ""


@given(
    at=st.integers(0, FILE.count("\n") - 1),
    indent=st.integers(0, 10),
    also=st.sampled_from(["", "agent: {port: no}\n", "workloads: {}\n", "}\n"]),
)
def test_a_line_indented_wrongly_shows_no_secret(at: int, indent: int, also: str) -> None:
    lines = FILE.split("\n")
    lines[at] = " " * indent + lines[at].lstrip()
    assert "hunter2" not in message("\n".join(lines) + also)


@given(
    at=st.integers(0, len(FILE) - 1), into=st.sampled_from(["", "#", ":", " ", "\n", "\t", "{", '"', "- "])
)
def test_a_letter_typed_wrongly_shows_no_secret(at: int, into: str) -> None:
    assert "hunter2" not in message(FILE[:at] + into + FILE[at + 1 :])
    assert "hunter2" not in message(FILE[:at] + into + FILE[at:] + "agent: {port: no}\n")


@pytest.mark.parametrize(
    "settings",
    [
        "environment: {A: [hush], B: '${hush', C: hush}",
        "environment: {A: hush, A: hush}",
        "environment: {? [hush] : hush}",
        "environment: {A: 'x$hu${sh!hush}'}",
        "environment: {TOKEN=hush, B=hush, C=hush: [x]}",
        "environment: {TOKEN:hush, C: [x]}",
        "environment:\n  A: &it hush\nmode: *it",
        "environment:\n  A: [x] # hush",
        "environment:\n  A: | # hush\n   x\n  B: [x]",
        "environment:\n  A: 'x\n   x' # hush\n  B: [x]",
        "enviroment: {A: hush}",
        "USER_: hush",
        "env: {A: hush}",
        "env: [A=hush]",
        "env: A=hush",
        "DB_PASSWORD: hush",
        "DB_PASSWORD=hush: 1",
        "build: {args: [TOKEN=hush]}",
        "logging: {options: {splunk-token: hush}}",
    ],
)
def test_no_secret_is_shown(settings: str) -> None:
    text = of_workload(settings)
    assert text
    assert "hush" not in text


@pytest.mark.parametrize(
    "workloads", ["{DB_PASSWORD: hush}", "{w: , DB=hush: }", "\n  w:\n  - DB=hush", "{w: , DB:hush: }"]
)
def test_what_stands_in_place_of_a_workload_is_not_shown(workloads: str) -> None:
    text = message(f"workloads: {workloads}")
    assert text
    assert "hush" not in text


def test_the_wrong_value_is_shown_and_no_other() -> None:
    assert of_workload("{image: mine, mode: steal, environment: {A: hush}} # hush") == (
        'devcluster.yaml:3:25: workloads.w.mode: expected replace, intercept or ingest, got "steal"\n'
        "      {image: ***, mode: steal, environment: {A: ***}}\n"
        "                         ^"
    )
    assert of_workload("{imgae: mine, user: me}") == (
        "devcluster.yaml:3:6: workloads.w.imgae: unknown key\n"
        "      {imgae: mine, user: ***}\n"
        "       ^\n"
        "  did you mean image?"
    )
    assert "expected a map, got text" in message("workloads: {web: nginx}")


def test_of_what_is_not_yaml_the_place_is_told() -> None:
    assert (
        of_workload("image: mine: x") == "devcluster.yaml:3:16: not YAML: mapping values are not allowed here"
    )


def test_a_line_is_what_the_composer_takes_for_one() -> None:
    text = message("# a\u2028# b\nworkloads:\n  w:\n    mode: steal\n    environment: {A: hush, B: [1]}\n")
    assert "    mode: steal\n" in text
    assert "hush" not in text


def test_the_line_after_a_block_of_text_is_shown() -> None:
    for block in (">-\n    text", "|\n    text", "|\n    text\n"):
        assert "    mode: steal\n" in of_workload(f"environment:\n  A: {block}\nmode: steal # former: x"), (
            block
        )


def test_a_masked_line_keeps_its_caret() -> None:
    text = of_workload("environment: {A: hush, B: [1]}").split("\n")
    assert text[1:] == ["      environment: {A: ***, B: [***]}", "                               ^"]


@pytest.mark.parametrize("before", [0, 40, 200])
@pytest.mark.parametrize("after", [0, 40, 200])
def test_of_a_long_line_the_part_around_the_caret_is_shown(before: int, after: int) -> None:
    line = f"{{x-a{'y' * before}: 1, mode: steal, environment: {{A: {'h' * 200}}}, x-b{'z' * after}: 2}}"
    _, source, caret = message(f"workloads: {{w: {line}}}").split("\n")
    assert source[caret.index("^") :].startswith("steal")
    assert len(source) <= 164
    assert "hhh" not in source
    assert source.startswith("  …") == (before == 200)
    assert source.endswith("…") == (after == 200)

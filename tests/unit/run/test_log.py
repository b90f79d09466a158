"""What is told where: the file has all of it, stderr what nobody else has told."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster.run.log import log_to, logged, to_log
from devcluster.run.report import Progress


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    for handler in (handlers := logging.getLogger("devcluster").handlers):
        handler.close()
    handlers.clear()


def _say(told: list[str]) -> None:
    to_log(Progress("web", "the gateway ended"))
    logging.getLogger("devcluster.host").warning("web: held by bob")
    logged(lambda it: told.append(it.text))(
        Progress("web", "start the gateway", phase="connect", seconds=1.234)
    )


def test_the_file_has_all_of_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "session.log"
    told: list[str] = []
    log_to(file, stderr=logging.WARNING)
    _say(told)
    lines = [line.split(" ", 2)[2] for line in file.read_text().splitlines()]
    assert lines == [
        "INFO web: the gateway ended",
        "WARNING web: held by bob",
        "INFO web: start the gateway: done in 1.23 s",
    ]
    assert file.stat().st_mode & 0o777 == 0o600
    assert capfd.readouterr().err.count("\n") == 1
    assert told == ["start the gateway"]


def test_verbose_shows_what_it_does_by_itself(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log_to(tmp_path / "session.log", stderr=logging.INFO)
    _say([])
    said = capfd.readouterr().err
    assert "the gateway ended" in said
    assert "start the gateway" not in said


def test_how_far_a_copy_is_comes_too_often_for_a_log(tmp_path: Path) -> None:
    log_to(tmp_path / "session.log", stderr=logging.WARNING)
    to_log(Progress("web", "copying", 1, 2, "bytes"))
    assert (tmp_path / "session.log").read_text() == ""

"""The sandbox's pure parts: what a build is named by, which ports, which settings of apt are taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from devcluster.edge.docker.sandbox import node as sandbox_engine
from devcluster.sandbox import base_image
from devcluster.sandbox import build as sandbox_build
from devcluster.sandbox import place as sandbox_place


def _digest(folder: Path, *more: str) -> str:
    return sandbox_build._digest(sandbox_build._files(folder), folder, *more)


def test_a_build_is_named_by_what_it_is_made_of(tmp_path: Path) -> None:
    (tmp_path / "main.go").write_text("package main")
    first = _digest(tmp_path, "amd64")
    (tmp_path / "main_test.go").write_text("package main")
    (tmp_path / "README.md").write_text("words")
    assert _digest(tmp_path, "amd64") == first
    assert _digest(tmp_path, "arm64") != first
    (tmp_path / "main.go").rename(tmp_path / "other.go")
    second = _digest(tmp_path, "amd64")
    (tmp_path / "other.go").write_text("package other")
    assert len({first, second, _digest(tmp_path, "amd64")}) == 3


def test_every_program_is_in_the_sources() -> None:
    sources = sandbox_build.sandbox_sources()
    for program in sandbox_build._PROGRAMS:
        assert (sources / program.module / program.package / "main.go").is_file()


@pytest.mark.parametrize("name", ["default", "one", "two"])
def test_every_port_is_tried_once(name: str) -> None:
    ports = sandbox_engine._candidates(name)
    assert sorted(ports) == list(sandbox_engine._PORTS)


@pytest.mark.parametrize(
    ("line", "taken"),
    [
        ('Acquire::http::Proxy "http://proxy:3128";', True),
        ('Acquire::Check-Valid-Until "false";', True),
        ('Acquire::Languages "none";', False),
        ('APT::Update::Post-Invoke:: "rm -f /x";', False),
    ],
)
def test_only_how_apt_fetches_is_taken_along(line: str, taken: bool) -> None:
    assert bool(base_image._SETTING.match(line)) is taken


def test_a_kubeconfig_is_kept_while_its_cluster_is_the_same() -> None:
    text = b"clusters:\n- server: a\nusers:\n- key: %s\n"
    assert sandbox_place._cluster(text % b"1") == sandbox_place._cluster(text % b"2")
    assert sandbox_place._cluster(text % b"1") != sandbox_place._cluster(text.replace(b": a", b": b") % b"1")

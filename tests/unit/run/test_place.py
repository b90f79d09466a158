"""Where a project's state lives, and its socket where that path is too long for one."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from devcluster.errors import ConfigurationError, FailedError
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.run.place import place_of


def _place(home: Path) -> Path:
    return place_of("kind", "shop", "web", {"XDG_STATE_HOME": str(home)}).socket


def test_the_socket_is_in_the_private_folder(tmp_path: Path) -> None:
    place = place_of("kind", "shop", "web", {"XDG_STATE_HOME": str(tmp_path)})
    assert stat.S_IMODE(place.state.stat().st_mode) == 0o700


@pytest.mark.parametrize("home", ["file", "file/below", "/proc/none"])
def test_a_folder_that_can_not_be_made_is_a_wrong_setting(tmp_path: Path, home: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="can't create") as caught:
        _place(tmp_path / home)
    assert caught.value.exit_code == 2
    assert "XDG_STATE_HOME" in caught.value.hint


def test_a_folder_as_deep_as_one_likes_has_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = tmp_path / "t"
    short.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(short))
    paths = [_place(tmp_path / ("d" * 120) / name) for name in ("one", "two")]
    assert paths[0] != paths[1]
    assert paths[0] == _place(tmp_path / ("d" * 120) / "one")
    assert stat.S_IMODE(paths[0].parent.stat().st_mode) == 0o700
    folder = os.open(paths[0].parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{folder}/{paths[0].name}")
    finally:
        os.close(folder)


def test_a_folder_that_others_can_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"devcluster-{os.getuid()}").mkdir(mode=0o755)
    with pytest.raises(FailedError, match="only you can read"):
        _place(tmp_path / ("d" * 120))


def test_what_a_key_means_is_known_without_a_host_process(tmp_path: Path) -> None:
    place = place_of("kind", "shop", "web", {"XDG_STATE_HOME": str(tmp_path)})
    assert place.workloads == {}
    web, data = WorkloadRef("deployment", "shop", "front"), WorkloadRef("statefulset", "shop", "db")
    place.note_workload("web", web)
    place.note_workload("data", data)
    assert place.workloads == {"web": web, "data": data}
    assert [stat.S_IMODE(path.stat().st_mode) for path in place.state.iterdir()] == [0o600]
    place.forget_workloads(["web", "other"])
    assert place.workloads == {"data": data}
    place.forget_workloads()
    assert place.workloads == {}
    assert list(place.state.iterdir()) == []

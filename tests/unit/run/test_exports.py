"""The environment as a file: ours alone, whole, and gone when it is not needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devcluster.errors import ConfigurationError
from devcluster.rules.container.environment import LocalEnvironment
from devcluster.run.exports import Exports
from devcluster.run.place import Place, place_of

ENVIRONMENT = LocalEnvironment((("A", "secret-1"), ("LINES", "two\nlines"), ("ODD.NAME", "x")))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return place_of("c", "n", "shop", {"XDG_STATE_HOME": str(tmp_path / "state")})


def test_the_ending_says_the_format(place: Place, tmp_path: Path) -> None:
    told = Exports(place).write("web", tmp_path / "web.env", ENVIRONMENT)
    assert (tmp_path / "web.env").read_text() == "A=secret-1\nODD.NAME=x\n"
    assert (tmp_path / "web.env").stat().st_mode & 0o777 == 0o600
    assert told == [
        f"{tmp_path / 'web.env'}: without LINES, which the format docker can't carry",
        f"2 variables are in {tmp_path / 'web.env'}",
    ]
    Exports(place).write("api", tmp_path / "api.json", ENVIRONMENT)
    assert json.loads((tmp_path / "api.json").read_text())["LINES"] == "two\nlines"
    Exports(place).write("bare", tmp_path / ".env", ENVIRONMENT)
    assert (tmp_path / ".env").read_text() == "A=secret-1\nODD.NAME=x\n"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == [".env"]


def test_no_value_is_kept_in_the_state_folder(place: Place, tmp_path: Path) -> None:
    Exports(place).write("web", tmp_path / "web.env", ENVIRONMENT)
    assert "secret-1" not in "".join(
        path.read_text("latin-1") for path in place.state.iterdir() if path.is_file()
    )


def test_a_file_of_somebody_else_is_never_overwritten(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "web.env"
    file.write_text("mine")
    with pytest.raises(ConfigurationError, match="devcluster did not write it"):
        Exports(place).check([file])
    with pytest.raises(ConfigurationError, match="not a folder that you may write to"):
        Exports(place).check([tmp_path / "nowhere" / "web.env"])


def test_one_that_was_changed_stays(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "web.env"
    Exports(place).write("web", file, ENVIRONMENT)
    file.write_text("A=changed\n")
    Exports(place).check([file])
    assert (
        Exports(place).write("web", file, ENVIRONMENT)[-1] == f"{file} was changed here, and is left as it is"
    )
    assert Exports(place).remove() == [f"kept: {file} was changed here"]
    assert file.read_text() == "A=changed\n"


def test_what_is_unchanged_goes_with_its_workload(place: Place, tmp_path: Path) -> None:
    Exports(place).write("web", tmp_path / "web.env", ENVIRONMENT)
    Exports(place).write("api", tmp_path / "api.env", ENVIRONMENT)
    assert Exports(place).remove(["web"]) == []
    assert sorted(path.name for path in tmp_path.glob("*.env")) == ["api.env"]
    Exports(place).write("api", tmp_path / "other.sh", ENVIRONMENT)  # the file says another name now
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["other.sh"]
    Exports(place).write("api", None, ENVIRONMENT)
    assert list(tmp_path.glob("*.*")) == []

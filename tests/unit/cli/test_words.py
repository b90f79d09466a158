"""The words of the command line: -f of ``logs``, and how a refusal reads for people and for programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from click.testing import CliRunner

from devcluster.cli.logs_exec_restart import exec_, logs
from devcluster.cli.options import Options
from devcluster.cli.show.printer import Printer
from devcluster.run.report import Progress

_ROOT = str(Path(__file__).resolve().parents[3])


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "devcluster", *words]
    environ = os.environ | {"PYTHONPATH": _ROOT, "NO_COLOR": "1"}
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    text = "name: shop\nworkloads:\n  web: {platform: any, environment: {TOKEN: [very-secret]}}\n"
    (tmp_path / "devcluster.yaml").write_text(text)
    return tmp_path


def test_logs_has_one_f_and_it_follows() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = CliRunner().invoke(logs, ["--help"]).stdout
    assert "-f, --follow" in text
    assert "-f, --file" not in text
    assert "--file PATH" in text


def test_the_options_of_a_command_stand_behind_two_dashes(folder: Path) -> None:
    done = run(folder, "run", "web", "python3", "-m", "http.server")
    assert done.returncode == 2
    assert "No such option '-m'. If it is CMD's, put -- before CMD." in done.stderr
    done = run(folder, "run", "web", "--prot", "80", "--", "python3", "-m", "http.server")
    assert done.returncode == 2
    assert "put --" not in done.stderr


def test_an_unset_variable_is_told_beside_the_result(folder: Path) -> None:
    (folder / "devcluster.yaml").write_text("name: shop\nworkloads: {web: {image: 'a${NO_SUCH_TAG}'}}\n")
    done = run(folder, "config", "-o", "json")
    assert json.loads(done.stdout)["workloads"]["web"]["image"] == "a"
    assert done.stderr.startswith("devcluster.yaml:2:26: warning: the variable NO_SUCH_TAG is not set")
    assert run(folder, "-q", "config").stderr == ""


def test_logs_f_before_a_workload_is_no_file(folder: Path) -> None:
    (folder / "devcluster.yaml").write_text("name: shop\nworkloads: {web: {}}\n")
    done = run(folder, "logs", "-f", "wib")
    assert done.returncode == 2
    assert "did you mean web" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("-o", "json", "nosuch"),
        ("plan", "--nosuch", "-o", "json"),
        ("env", "--format", "xml", "--output=json", "web"),
        ("env", "-o", "json"),
        ("plan", "-o", "json"),
        ("diff", "web", "-o", "json"),
        ("-o", "json", "init"),
    ],
)
def test_a_refusal_is_one_json_document_and_nothing_else(folder: Path, words: tuple[str, ...]) -> None:
    done = run(folder, *words)
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert error["exit_code"] == 2
    assert error["message"]


def test_the_file_as_understood_is_what_the_options_make_of_it(folder: Path) -> None:
    (folder / "devcluster.yaml").write_text("name: shop\nnamespace: wp\nworkloads: {web: {}}\n")
    shown = json.loads(run(folder, "-n", "other", "config", "--context", "kind", "-o", "json").stdout)
    assert (shown["context"], shown["namespace"]) == ("kind", "other")


def test_one_format_at_a_time(folder: Path) -> None:
    assert "can't be combined" in run(folder, "env", "web", "--format", "sh", "-o", "json").stderr


def test_the_help_names_only_what_is_built(folder: Path) -> None:
    text = run(folder, "--help").stdout
    assert "  status" in text
    assert "  diff" not in text
    assert "  init" not in text


def test_a_command_that_is_none_names_the_nearest(folder: Path) -> None:
    done = run(folder, "stauts")
    assert done.returncode == 2
    assert "No such command 'stauts'. Did you mean 'status'?" in done.stderr


def test_logs_beside_a_document_are_not_part_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    Printer(Options(output="json")).log("web", "hello")
    seen = capsys.readouterr()
    assert (seen.out, seen.err) == ("", "web | hello\n")


def test_what_is_later_is_named(folder: Path) -> None:
    done = run(folder, "plan")
    assert done.returncode == 2
    assert done.stderr.startswith("devcluster.yaml:3:19: workloads.web.platform: not built yet\n")
    assert "very-secret" not in done.stderr + done.stdout
    for word in ("diff", "init"):
        done = run(folder, word, "web")
        assert (done.returncode, f"{word} is not built yet" in done.stderr) == (2, True)


def test_a_timeout_with_and_without_its_unit(folder: Path) -> None:
    for words in ("90s", "90"):
        assert "--timeout" not in run(folder, "plan", "--timeout", words).stderr
    for words in ("0", "0s", "soon"):
        refused = run(folder, "plan", "--timeout", words)
        assert (refused.returncode, "--timeout" in refused.stderr) == (2, True)


def test_verbose_says_where_without_the_values(folder: Path) -> None:
    quiet, verbose = run(folder, "plan"), run(folder, "--verbose", "plan")
    assert "FileError at" in verbose.stderr
    assert "FileError at" not in quiet.stderr
    assert "very-secret" not in verbose.stderr


def test_verbose_progress_says_when(capsys: pytest.CaptureFixture[str]) -> None:
    Printer(Options(verbose=True)).progress(Progress("web", "starting"))
    assert " s  [web] starting" in capsys.readouterr().err
    Printer(Options()).progress(Progress("web", "starting"))
    assert capsys.readouterr().err == "[web] starting\n"


def test_exec_leaves_the_commands_own_options_alone(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "devcluster.yaml").write_text("name: shop\nworkloads: {web: {}}\n")
    monkeypatch.chdir(folder)
    seen: list[tuple[str, ...]] = []

    async def record(request: object, words: tuple[str, ...], *, terminal: bool) -> int:
        seen.append(words)
        return 7

    monkeypatch.setattr("devcluster.run.commands.logs_exec_restart.run_command", record)
    for words in (["web", "sort", "-n", "-o", "x"], ["web", "--", "sort", "-n", "-o", "x"]):
        assert exec_.main(words, standalone_mode=False, obj=Options()) == 7
    assert seen == [("sort", "-n", "-o", "x")] * 2
    assert run(folder, "exec", "web", "--").returncode == 2

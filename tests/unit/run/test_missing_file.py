"""Where there is no file, the error shows one."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from devcluster.config.load import parse_project
from devcluster.run.commands.missing_file import render_advice

WHERE = "namespace wordpress (context kind-dev)"


def test_three_lines_and_the_workloads() -> None:
    titles = ["deployment/mariadb", "deployment/wordpress", "statefulset/redis"]
    assert render_advice("shop", "wordpress", WHERE, titles, ()) == (
        "paste this into devcluster.yaml:\n"
        "  name: shop\n"
        "  namespace: wordpress\n"
        "  workloads: {mariadb: {}}\n"
        f"workloads of {WHERE}: deployment/mariadb, deployment/wordpress, statefulset/redis"
    )


def test_what_was_asked_for_is_in_the_file() -> None:
    text = render_advice("shop", "wordpress", WHERE, ["deployment/mariadb"], ("wordpress", "cron"))
    assert "  workloads: {wordpress: {}, cron: {}}\n" in text


def test_without_a_cluster_or_workloads() -> None:
    assert render_advice("shop", "default", "", [], ()).endswith("\n  workloads: {NAME-OF-A-DEPLOYMENT: {}}")
    assert render_advice("shop", "wordpress", WHERE, [], ()).endswith(f"\n{WHERE} has no workloads")


def test_of_many_workloads_the_first_ones_are_told() -> None:
    text = render_advice("shop", "wordpress", WHERE, [f"deployment/w{number:02}" for number in range(20)], ())
    assert text.endswith(", deployment/w11 and 8 more")


def test_what_is_to_be_pasted_is_a_file() -> None:
    lines = render_advice("shop", "wordpress", WHERE, ["deployment/mariadb"], ()).split("\n")[1:4]
    project = parse_project(
        "\n".join(lines), path=Path("/x/devcluster.yaml"), environ={}, dotenv={}, env_files=lambda path: ""
    )
    assert (project.name, project.namespace, project.workloads[0].key) == ("shop", "wordpress", "mariadb")


def test_every_command_that_needs_the_file_says_so_soon(tmp_path: Path) -> None:
    """Also where nobody answers: 192.0.2.1 is no machine's address."""
    config = tmp_path / "kubeconfig"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: dev\n"
        "clusters: [{name: c, cluster: {server: 'https://192.0.2.1:6443'}}]\n"
        "users: [{name: u, user: {token: x}}]\n"
        "contexts: [{name: dev, context: {cluster: c, user: u, namespace: shop}}]\n"
    )
    folder = tmp_path / "My Shop"
    folder.mkdir()
    environ = {"KUBECONFIG": str(config), "HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "devcluster", "status"],
        cwd=folder,
        env=environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert time.monotonic() - began < 15
    assert done.returncode == 2
    assert done.stderr == (
        "error: there is no devcluster.yaml here or above\n"
        "  paste this into devcluster.yaml:\n"
        "    name: myshop\n"
        "    namespace: shop\n"
        "    workloads: {NAME-OF-A-DEPLOYMENT: {}}\n"
    )

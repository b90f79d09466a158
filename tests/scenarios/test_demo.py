"""`scripts/demo.sh`, as somebody runs it who has a cluster: what it says at the end is true, and stops it."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from devcluster.edge.kube.cluster import open_cluster
from devcluster.rules.container.docker_names import project_id
from tests.scenarios.browser import Browser

_ROOT = Path(__file__).resolve().parent.parent.parent
_GUARD = 900.0  # seconds; the example's images may have to be built


def _shell(text: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = ["bash", "-euc", text]
    return subprocess.run(
        command, cwd=_ROOT, env=environ, capture_output=True, text=True, timeout=_GUARD, check=True
    )


@pytest.mark.slow
async def test_what_it_says_at_the_end_works(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    context = yaml.safe_load(kubeconfig.read_text())["current-context"]
    environ = os.environ | {
        "XDG_STATE_HOME": str(tmp_path),
        "DEVCLUSTER_SETUP_MACHINE": "no",
        "NO_COLOR": "1",
    }
    done = await asyncio.to_thread(_shell, f"scripts/demo.sh --context {context}", environ)
    address = re.search(r"in your browser: (http://localhost:\d+)/", done.stderr)
    assert address is not None, done.stderr
    assert "<title>User&#039;s Blog!</title>" in Browser(address[1]).get("/")

    said = done.stdout.partition("Go on by hand (in this folder):\n")[2].splitlines()
    setting, *commands = [re.split(r"\s{3,}", line.strip())[0] for line in said if line.startswith("  ")]
    names = [command.removeprefix("devcluster ").split(" --context")[0] for command in commands]
    assert names == ["status", "logs -f wordpress", "exec", "leave", "down", "example wordpress down"]
    for command in commands:
        if " -f " not in command:
            await asyncio.to_thread(_shell, f"{setting}; {command}", environ)

    async with open_cluster(context) as cluster:
        assert await cluster.find("namespace", "wordpress") is None
    mine = f"label=devcluster.project={project_id(context, 'wordpress', 'shop')}"
    assert (
        _shell(f"docker ps -aq --filter {mine}; docker network ls -q --filter {mine}", environ).stdout == ""
    )

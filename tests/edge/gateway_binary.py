"""The laptop's binary for tests, built once a run from the checkout."""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from pathlib import Path

AGENT = Path(__file__).parents[2] / "agent"


@functools.cache
def gateway_binary() -> Path:
    result = Path(tempfile.gettempdir()) / f"devcluster-test-{os.getuid()}" / "devcluster-gateway"
    result.parent.mkdir(mode=0o700, exist_ok=True)
    environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-trimpath"}
    command = ["go", "build", "-o", str(result), "./cmd/devcluster-gateway"]
    subprocess.run(command, cwd=AGENT, env=environment, check=True)
    return result

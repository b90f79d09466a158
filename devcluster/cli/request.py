"""From options to what ``run`` is asked for."""

from __future__ import annotations

import os
from pathlib import Path

from devcluster.cli.options import Options
from devcluster.errors import ConfigurationError
from devcluster.run.request import Request


def read_request(options: Options, workloads: tuple[str, ...] = (), *, file_needed: bool = True) -> Request:
    """Read the file (unless it may be absent and is) and check the named workloads against it."""
    from devcluster.config.load import find_file, load_project

    cwd = Path.cwd()
    file = options.file or find_file(cwd)
    project = None
    if file is not None or file_needed:
        project = load_project(file=file, cwd=cwd, environ=os.environ)
        _check(workloads, {workload.key for workload in project.workloads}, project.file)
    return Request(
        project=project,
        context=options.context or (project.context if project else None),
        namespace=options.namespace or (project.namespace if project else None),
        only=workloads,
        timeout=options.timeout,
        environ=dict(os.environ),
    )


def _check(asked: tuple[str, ...], known: set[str], file: Path | None) -> None:
    from difflib import get_close_matches

    for name in asked:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"it has: {', '.join(sorted(known))}"
            raise ConfigurationError(f"{file} has no workload {name!r}", hint=hint)

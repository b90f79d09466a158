"""From options to what ``run`` is asked for."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path

import click

from devcluster.cli.options import Options
from devcluster.errors import ConfigurationError
from devcluster.run.request import Request, check_names


def read_request(
    options: Options, workloads: tuple[str, ...] = (), *, file_needed: bool = True, checked: bool = True
) -> Request:
    """Read the file, if there is one or *file_needed*, and check that it has the named workloads, unless they
    may have been taken out of it (not *checked*)."""
    from devcluster.config.load import find_file, load_project

    cwd = _cwd()
    file = options.file or find_file(cwd)
    project = None
    if file is None and file_needed:
        raise missing_file_error(options, workloads)
    if file is not None:
        project = load_project(file=file, cwd=cwd, environ=os.environ, warn=partial(_warn, options))
        if checked:
            check_names(workloads, {workload.key for workload in project.workloads}, str(project.file))
    return Request(
        project=project,
        context=options.context or (project.context if project else None),
        namespace=options.namespace or (project.namespace if project else None),
        only=workloads,
        deadline=options.deadline,
        environ=dict(os.environ),
    )


def missing_file_error(options: Options, workloads: tuple[str, ...] = ()) -> ConfigurationError:
    """For a command that finds neither a file nor what it could do without one."""
    from devcluster.config.load import normalise_name
    from devcluster.run.commands.missing_file import missing_file

    name = normalise_name(_cwd().name)
    return asyncio.run(missing_file(name, options.context, options.namespace, workloads))


def _warn(options: Options, text: str) -> None:
    if not options.quiet:
        click.echo(text, err=True)


def _cwd() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise ConfigurationError("the working directory no longer exists", hint="change to another") from None

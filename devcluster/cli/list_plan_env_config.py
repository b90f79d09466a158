"""``list``, ``plan``, ``env``, ``config``: they change nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from devcluster.cli.options import Options, common, pass_options
from devcluster.cli.request import read_request
from devcluster.cli.running import run_within
from devcluster.cli.show.printer import Printer


@click.command("list")
@common
@pass_options
def list_(options: Options) -> int:
    """List the workloads of the namespace, and who holds them."""
    from devcluster.run.commands.list import list_workloads

    printer = Printer(options)
    request = read_request(options, file_needed=False)
    namespace, rows = run_within(request.deadline, list_workloads(request))
    if options.json:
        printer.document({"workloads": rows})
    elif not rows:
        click.echo(f"no workloads in namespace {namespace}", err=True)
    else:
        head = ("KIND", "NAME", "STATE", "PORTS")
        printer.table([head, *map(_row, rows)])
    return 0


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    return row["kind"], row["name"], row["state"], ",".join(map(str, row["ports"])) or "-"


@click.command()
@click.argument("workloads", nargs=-1)
@common
@pass_options
def plan(options: Options, workloads: tuple[str, ...]) -> int:
    """Print what `up` would do, each step with its cause.  Change nothing."""
    from devcluster.run.commands.plan import make_plan

    request = read_request(options, workloads)
    Printer(options).plan(run_within(request.deadline, make_plan(request)))
    return 0


@click.command()
@click.argument("workload")
@click.option(
    "--format", "form", type=click.Choice(["docker", "json", "sh", "yaml"]), help="Default: docker."
)
@click.option("--raw", is_flag=True, help="Print it as in the pod: nothing rewritten, added or removed.")
@common
@pass_options
def env(options: Options, workload: str, form: str | None, raw: bool) -> int:
    """Print the environment of a workload whose agent is installed."""
    from devcluster.rules.container.environment_formats import render_environment
    from devcluster.run.commands.env import environment

    if options.json and form not in (None, "json"):
        raise click.UsageError(f"--output json and --format {form} can't be combined")
    request = read_request(options, (workload,))
    pairs = run_within(request.deadline, environment(request, raw=raw))
    text = render_environment(pairs, form or ("json" if options.json else "docker"))
    click.echo(text.encode("utf-8", "surrogateescape"), nl=False)  # whatever the terminal's encoding is
    return 0


@click.command()
@click.option("--schema", is_flag=True, help="Print the file's JSON Schema instead.")
@common
@pass_options
def config(options: Options, schema: bool) -> int:
    """Print the file as understood.  Defaults are filled in, and values of the environment are masked."""
    from devcluster.config.render import render_config
    from devcluster.config.schema import schema as file_schema

    if schema:
        Printer(options).document(file_schema())
        return 0
    request = read_request(options)
    assert request.project is not None
    project = replace(request.project, context=request.context, namespace=request.namespace)
    click.echo(render_config(project, options.output), nl=False)
    return 0

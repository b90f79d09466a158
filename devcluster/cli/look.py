"""``list``, ``status``, ``plan``, ``env``, ``config``: they change nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from devcluster.cli.options import Options, common, pass_options
from devcluster.cli.render import Printer, size
from devcluster.cli.request import read_request
from devcluster.errors import ConfigurationError

_WATCH_PERIOD = 1.0


@click.command("list")
@common
@pass_options
def list_(options: Options) -> int:
    """Every workload of the namespace, and who holds it."""
    from devcluster.run import inquiry

    printer = Printer(options)
    rows = asyncio.run(inquiry.list_workloads(read_request(options, file_needed=False)))
    if options.json:
        printer.document({"workloads": rows})
    else:
        head = ("KIND", "NAME", "STATE", "PORTS")
        printer.table([head, *((it["kind"], it["name"], it["state"], it["ports"]) for it in rows)])
    return 0


@click.command()
@click.option("--verify", is_flag=True, help="Prove the route from inside the cluster (not built yet).")
@click.option("--watch", is_flag=True, help="Print again whenever something changes, until ^C.")
@common
@pass_options
def status(options: Options, verify: bool, watch: bool) -> int:
    """A row for each workload of the file."""
    from devcluster.run import inquiry

    if verify:
        raise ConfigurationError("status --verify: not built yet")
    printer = Printer(options)
    request = read_request(options, file_needed=False)

    async def show() -> None:
        last: dict[str, Any] | None = None
        while True:
            document = await inquiry.status(request)
            if document != last:
                _status(printer, document, options)
            if not watch:
                return
            last = document
            await asyncio.sleep(_WATCH_PERIOD)

    asyncio.run(show())
    return 0


def _status(printer: Printer, document: dict[str, Any], options: Options) -> None:
    if options.json:
        printer.document(document)
        return
    head = ("NAME", "TARGET", "STATE", "PODS", "LANE", "RTT", "PORTS", "VOLUMES")
    printer.table([head, *(_row(it) for it in document["workloads"])])
    for workload in document["workloads"]:
        if workload["reason"]:
            click.echo(f"{workload['name']}: {workload['reason']}")
        for rewrite in workload["rewrites"]:
            click.echo(f"{workload['name']}: {rewrite['where']}: {rewrite['service']} -> {rewrite['to']}")


def _row(workload: dict[str, Any]) -> tuple[str, ...]:
    pods = workload["pods"]
    attached = sum(pod["state"] == "attached" for pod in pods)
    times = [pod["rtt_ms"] for pod in pods if pod["rtt_ms"] is not None]
    lanes = sorted({pod["lane"] for pod in pods if pod["lane"]})
    return (
        workload["name"],
        workload["target"],
        workload["state"],
        f"{attached}/{workload['pods_wanted']}",
        ",".join(lanes) or "-",
        f"{min(times):.1f} ms" if times else "-",
        " ".join(f"{it['address']}:{it['host']}->{it['container']}" for it in workload["ports"]) or "-",
        " ".join(f"{it['name']}({it['mode']}, {size(it['bytes'])})" for it in workload["volumes"]) or "-",
    )


@click.command()
@click.argument("workloads", nargs=-1)
@common
@pass_options
def plan(options: Options, workloads: tuple[str, ...]) -> int:
    """What `up` would do, each step with its cause."""
    from devcluster.run import inquiry

    Printer(options).plan(asyncio.run(inquiry.plan(read_request(options, workloads))))
    return 0


@click.command()
@click.argument("workload")
@click.option("--format", "form", type=click.Choice(["docker", "json", "sh", "yaml"]), default=None)
@click.option("--raw", is_flag=True, help="As in the pod: nothing rewritten, added or removed.")
@common
@pass_options
def env(options: Options, workload: str, form: str | None, raw: bool) -> int:
    """The environment of a workload whose agent is installed."""
    from devcluster.rules.formats import render_environment
    from devcluster.run import inquiry

    request = read_request(options, (workload,))
    pairs = asyncio.run(inquiry.environment(request, raw=raw))
    click.echo(render_environment(pairs, form or ("json" if options.json else "docker")), nl=False)
    return 0


@click.command()
@click.option("--schema", is_flag=True, help="The file's JSON Schema instead.")
@common
@pass_options
def config(options: Options, schema: bool) -> int:
    """The file as understood, defaults filled in; values of the environment are masked."""
    from devcluster.config.render import render_config
    from devcluster.config.schema import schema as file_schema

    if schema:
        Printer(options).document(file_schema())
        return 0
    request = read_request(options)
    assert request.project is not None
    click.echo(render_config(request.project, options.output), nl=False)
    return 0

"""``devcluster sandbox``: a throwaway Kubernetes with one node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from devcluster.cli.options import Options, common, pass_options
from devcluster.cli.show.printer import Printer

if TYPE_CHECKING:
    from devcluster.sandbox.sandbox import SandboxStatus


@click.group()
@common
def sandbox() -> None:
    """Run a throwaway Kubernetes in one container."""


def _named(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--name", default="default", show_default=True, help="The sandbox's name.")(function)


@sandbox.command()
@_named
@common
@pass_options
def up(options: Options, name: str) -> int:
    """Create or start the sandbox, and wait until it works.  Building it the first time takes minutes."""
    from devcluster.sandbox.sandbox import sandbox_up

    printer = Printer(options)
    made = asyncio.run(sandbox_up(name, report=printer.progress, timeout=options.deadline.span))
    if options.json:
        printer.document(
            {
                "name": made.name,
                "outcome": made.outcome,
                "context": made.context,
                "kubeconfig": str(made.kubeconfig),
                "seconds": round(made.seconds, 1),
            }
        )
        return 0
    after = f" in {made.seconds:.1f} s" if made.seconds else ""
    click.echo(f"sandbox {made.name}: {made.outcome}, ready{after}, context {made.context}", err=True)
    click.echo(f"export KUBECONFIG={made.kubeconfig}")
    return 0


@sandbox.command()
@_named
@common
@pass_options
def down(options: Options, name: str) -> int:
    """Remove the sandbox with everything in it."""
    from devcluster.sandbox.sandbox import sandbox_down

    printer = Printer(options)
    removed = asyncio.run(sandbox_down(name, report=printer.progress))
    if options.json:
        printer.document({"name": name, "removed": removed})
    return 0


@sandbox.command()
@_named
@common
@pass_options
def status(options: Options, name: str) -> int:
    """Print the state of each of its programs.  The exit code is 1 if the sandbox does not work."""
    from devcluster.sandbox.sandbox import sandbox_status

    printer = Printer(options)
    found = asyncio.run(sandbox_status(name))
    if options.json:
        printer.document(_document(found))
    else:
        _print(found, printer)
    return 0 if found.state == "ready" else 1


@sandbox.command()
@_named
@common
@pass_options
def kubeconfig(options: Options, name: str) -> int:
    """Print the path of the sandbox's kubeconfig."""
    from devcluster.sandbox.sandbox import sandbox_kubeconfig

    path = str(asyncio.run(sandbox_kubeconfig(name)))
    if options.json:
        Printer(options).document({"name": name, "kubeconfig": path})
    else:
        click.echo(path)
    return 0


@sandbox.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE…")
@_named
@common
@pass_options
def load(options: Options, name: str, images: tuple[str, ...]) -> int:
    """Copy images of the Docker engine into the sandbox."""
    from devcluster.sandbox.sandbox import sandbox_load

    printer = Printer(options)
    outcomes = asyncio.run(sandbox_load(images, name, report=printer.progress))
    if options.json:
        printer.document({"name": name, "images": [{"name": it, "outcome": how} for it, how in outcomes]})
    else:
        printer.table(outcomes)
    return 0


def _document(found: SandboxStatus) -> dict[str, Any]:
    return {
        "name": found.name,
        "state": found.state,
        "context": found.context,
        "kubeconfig": str(found.kubeconfig or ""),
        "port": found.port,
        "image": found.image,
        "units": [
            {
                "name": unit.name,
                "kind": "program" if unit.program else "stage",
                "state": unit.state,
                "restarts": unit.restarts,
                "exit": unit.exit,
                "lines": list(unit.lines),
            }
            for unit in found.units
        ],
        "log": list(found.log),
    }


def _print(found: SandboxStatus, printer: Printer) -> None:
    rows: list[tuple[str, ...]] = [("sandbox", found.name, found.state)]
    if found.port:
        rows.append(("API server", f"https://127.0.0.1:{found.port}", f"context {found.context}"))
    printer.table(rows)
    printer.table([(unit.name, unit.state, _ends(unit.restarts, unit.exit)) for unit in found.units])
    for unit in found.units:
        if unit.lines:
            click.echo(f"\nlast lines of {unit.name} when it ended:")
            click.echo("\n".join(f"  {line}" for line in unit.lines))
    for line in found.log:
        click.echo(line)


def _ends(restarts: int, reason: str) -> str:
    if not restarts:
        return reason
    return f"ended {restarts} time{'s' if restarts > 1 else ''}, last: {reason}"

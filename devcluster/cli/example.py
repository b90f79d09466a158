"""``devcluster example``: applications to try devcluster with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import click

from devcluster.cli.options import Options, common, pass_options
from devcluster.cli.show.printer import Printer


@click.group()
@common
def example() -> None:
    """Applications to try devcluster with."""


@example.group()
@common
def wordpress() -> None:
    """WordPress with its MariaDB, in the namespace wordpress (or -n)."""


@example.group()
@common
def hello() -> None:
    """An echo server, in the namespace default (or -n)."""


def _up(name: str) -> Callable[..., int]:
    @click.option("--registry", metavar="PREFIX", help="Push the images to this registry.")
    @common
    @pass_options
    def up(options: Options, registry: str | None) -> int:
        """Build the images, deploy, and wait until the front page answers from inside the cluster."""
        return _deploy(name, options, registry)

    return up


def _down(name: str) -> Callable[..., int]:
    @common
    @pass_options
    def down(options: Options) -> int:
        """Remove it with its data, and wait until it is gone."""
        return _remove(name, options)

    return down


for _group in (wordpress, hello):
    _group.command()(_up(str(_group.name)))
    _group.command()(_down(str(_group.name)))


def _deploy(name: str, options: Options, registry: str | None) -> int:
    from devcluster.sandbox.example import example_up
    from devcluster.sandbox.example_objects import EXAMPLES

    printer, chosen = Printer(options), EXAMPLES[name]
    done = asyncio.run(
        example_up(
            chosen,
            context=options.context,
            namespace=options.namespace or chosen.namespace,
            registry=registry,
            report=printer.progress,
            timeout=options.deadline.span,
        )
    )
    if options.json:
        objects = [{"name": object_, "outcome": outcome} for object_, outcome in done.objects]
        place = {"context": done.context, "namespace": done.namespace}
        images = list(done.images.values())
        printer.document(place | {"objects": objects, "images": images, "seconds": round(done.seconds, 1)})
        return 0
    changed = any(outcome != "unchanged" for _, outcome in done.objects)
    what = f"{chosen.title} is {'deployed' if changed else 'unchanged'}"
    click.echo(f"{what}; its front page answers in the cluster ({done.seconds:.1f} s)", err=True)
    click.echo(f"http://{name}.{done.namespace}.svc.cluster.local/")
    return 0


def _remove(name: str, options: Options) -> int:
    from devcluster.sandbox.example import example_down
    from devcluster.sandbox.example_objects import EXAMPLES

    printer, chosen = Printer(options), EXAMPLES[name]
    namespace = options.namespace or chosen.namespace
    removed = asyncio.run(
        example_down(
            chosen,
            context=options.context,
            namespace=namespace,
            report=printer.progress,
            timeout=options.deadline.span,
        )
    )
    if options.json:
        printer.document({"namespace": namespace, "removed": removed})
    else:
        what = "was removed" if removed else "was not there"
        click.echo(f"{chosen.title} in namespace {namespace} {what}", err=True)
    return 0

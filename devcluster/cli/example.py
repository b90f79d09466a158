"""``devcluster example``: an application to try devcluster with."""

from __future__ import annotations

import asyncio

import click

from devcluster.cli.options import Options, common, pass_options
from devcluster.cli.render import Printer


@click.group()
@common
def example() -> None:
    """An application to try devcluster with."""


@example.group()
@common
def wordpress() -> None:
    """WordPress with its MariaDB, in the namespace wordpress (or -n)."""


@wordpress.command()
@click.option("--registry", metavar="PREFIX", help="Push the images to this registry.")
@common
@pass_options
def up(options: Options, registry: str | None) -> int:
    """Build the images, deploy, and wait until the front page answers from inside the cluster."""
    from devcluster.sandbox.example import NAMESPACE, example_up

    printer = Printer(options)
    done = asyncio.run(
        example_up(
            context=options.context,
            namespace=options.namespace or NAMESPACE,
            registry=registry,
            report=printer.progress,
            timeout=options.timeout,
        )
    )
    if options.json:
        objects = [{"name": name, "outcome": outcome} for name, outcome in done.objects]
        images = [done.images.wordpress, done.images.mariadb]
        place = {"context": done.context, "namespace": done.namespace}
        printer.document(place | {"objects": objects, "images": images, "seconds": round(done.seconds, 1)})
        return 0
    changed = any(outcome != "unchanged" for _, outcome in done.objects)
    what = "deployed" if changed else "unchanged"
    click.echo(f"WordPress is {what}; its front page answers in the cluster ({done.seconds:.1f} s)", err=True)
    click.echo(f"http://wordpress.{done.namespace}.svc.cluster.local/")
    return 0


@wordpress.command()
@common
@pass_options
def down(options: Options) -> int:
    """Remove it with its data, and wait until it is gone."""
    from devcluster.sandbox.example import NAMESPACE, example_down

    printer = Printer(options)
    namespace = options.namespace or NAMESPACE
    removed = asyncio.run(
        example_down(
            context=options.context, namespace=namespace, report=printer.progress, timeout=options.timeout
        )
    )
    if options.json:
        printer.document({"namespace": namespace, "removed": removed})
    else:
        what = "was removed" if removed else "was not there"
        click.echo(f"WordPress in namespace {namespace} {what}", err=True)
    return 0

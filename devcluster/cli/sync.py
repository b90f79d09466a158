"""``sync``, for live volumes."""

from __future__ import annotations

import click

from devcluster.cli.options import Options, common, pass_options
from devcluster.cli.request import read_request
from devcluster.cli.show.printer import Printer
from devcluster.edge.background import run_loop


@click.command()
@click.argument("words", nargs=-1, metavar="[WORKLOAD]... | WORKLOAD --keep laptop|pod PATH...")
@click.option("--keep", type=click.Choice(["laptop", "pod"]), help="Whose version of each PATH counts.")
@common
@pass_options
def sync(options: Options, words: tuple[str, ...], keep: str | None) -> int:
    """Bring over what is under way in live volumes, and wait for it.

    With --keep, end conflicts first: of each PATH, as the container sees it, that side's version counts; of a
    folder all that is in it.
    """
    from devcluster.run.commands.sync import sync as bring

    if keep and len(words) < 2:
        raise click.UsageError("--keep goes with a workload and the paths that it decides.")
    workloads, paths = (words[:1], words[1:]) if keep else (words, ())
    printer = Printer(options)
    request = read_request(options, workloads)
    printer.outcomes(run_loop(bring(request, printer.progress, side=keep or "", paths=paths)))
    return 0

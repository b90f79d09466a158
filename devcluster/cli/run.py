"""``run``: a command of the laptop in a workload's place."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast, get_args

import click

from devcluster.cli.options import Options, common, pass_options
from devcluster.cli.request import read_request
from devcluster.cli.show.printer import Printer
from devcluster.config.model import Mode

if TYPE_CHECKING:
    from devcluster.rules.ports.port_wishes import PortWish


def _wish(text: str) -> PortWish:
    from devcluster.rules.ports.port_wishes import parse_port_wish

    try:
        return parse_port_wish(text)
    except ValueError as error:
        raise click.UsageError(f"--port {text}: {error}") from error


class _Run(click.Command):
    """CMD's options are taken for ours where -- is missing."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        marked = "--" in args
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if marked:
                raise
            text = f"No such option {error.option_name!r}. If it is CMD's, put -- before CMD."
            raise click.UsageError(text, ctx) from error


@click.command(cls=_Run, options_metavar="", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--mode",
    type=click.Choice(get_args(Mode)),
    help="What happens to the original; default: the file's, else intercept.",
)
@click.option(
    "--port",
    "ports",
    multiple=True,
    metavar="[LOCAL:]PORT",
    help="The laptop's port for what Services lead to; of several ports PORT says which.",
)
@click.option("--takeover", is_flag=True, help="Take a workload that somebody else holds.")
@common
@click.argument("workload")
@click.argument("words", nargs=-1, required=True, metavar="-- CMD...", type=click.UNPROCESSED)
@pass_options
def run(
    options: Options,
    mode: str | None,
    ports: tuple[str, ...],
    takeover: bool,
    workload: str,
    words: tuple[str, ...],
) -> int:
    """Run CMD on this laptop in the place of WORKLOAD.  It has its environment and its traffic; then leave.

    WORKLOAD is a name in the file, or a workload of the cluster: hello, deployment/hello.  What is behind
    -- belongs to CMD.  The exit code is CMD's.
    """
    from devcluster.run.commands.run import Command
    from devcluster.run.commands.run import run as run_command

    options.streams = True
    chosen = cast("Mode | None", mode)
    command = Command(workload, words, chosen, tuple(map(_wish, ports)))
    request = read_request(options, file_needed=False)
    return asyncio.run(run_command(request, command, Printer(options).progress, takeover=takeover))

"""``logs``, ``exec`` and ``restart``, for local containers."""

from __future__ import annotations

import asyncio
import json
import sys

import click

from devcluster.cli.options import Options, common, common_but_f, pass_options
from devcluster.cli.request import read_request
from devcluster.cli.show.printer import Printer


@click.command()
@click.argument("workloads", nargs=-1)
@click.option("-f", "--follow", is_flag=True, help="Follow the output until ^C.")
@common_but_f
@pass_options
def logs(options: Options, workloads: tuple[str, ...], follow: bool) -> int:
    """Print the output of the local containers.

    With -o json, one document has all lines; with --follow as well, each line is a document.
    """
    from devcluster.run.commands.logs_exec_restart import logs as follow_logs

    options.streams = follow
    request, printer = read_request(options, workloads), Printer(options)
    lines: list[dict[str, str]] = []

    def keep(workload: str, line: str) -> None:
        row = {"workload": workload, "line": line}
        if follow:
            click.echo(json.dumps(row, ensure_ascii=False))
        else:
            lines.append(row)

    asyncio.run(follow_logs(request, follow=follow, show=keep if options.json else printer.log))
    if options.json and not follow:
        printer.document({"lines": lines})
    return 0


@click.command("exec", context_settings={"allow_interspersed_args": False})
@click.argument("workload")
@click.argument("words", nargs=-1, required=True, metavar="CMD...", type=click.UNPROCESSED)
@common
@pass_options
def exec_(options: Options, workload: str, words: tuple[str, ...]) -> int:
    """Run CMD in the local container and end with its exit code.  Options after WORKLOAD belong to CMD."""
    from devcluster.run.commands.logs_exec_restart import run_command

    words = words[1:] if words[0] == "--" else words
    if not words:
        raise click.UsageError("Missing argument 'CMD...'.")
    options.streams = True
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    return asyncio.run(run_command(read_request(options, (workload,)), words, terminal=terminal))


@click.command()
@click.argument("workload")
@common
@pass_options
def restart(options: Options, workload: str) -> int:
    """Stop and start the local container; connections wait meanwhile."""
    from devcluster.run.commands.logs_exec_restart import restart as start_again

    printer = Printer(options)
    printer.outcomes(asyncio.run(start_again(read_request(options, (workload,)), printer.progress)))
    return 0

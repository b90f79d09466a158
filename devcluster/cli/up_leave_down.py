"""``up``, ``leave``, ``down``."""

from __future__ import annotations

import click

from devcluster.cli.options import Options, common, pass_options
from devcluster.cli.request import missing_file_error, read_request
from devcluster.cli.running import run_within
from devcluster.cli.show.printer import Printer
from devcluster.edge.background import run_loop
from devcluster.errors import INTERRUPTED


@click.command()
@click.argument("workloads", nargs=-1)
@click.option("-d", "--detach", is_flag=True, help="Return when everything is ready.")
@click.option("--takeover", is_flag=True, help="Take a workload that somebody else holds.")
@click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
@common
@pass_options
def up(options: Options, workloads: tuple[str, ...], detach: bool, takeover: bool, dry_run: bool) -> int:
    """Bring the cluster and Docker to what the file says.  Change only what differs."""
    from devcluster.run.commands import up
    from devcluster.run.commands.plan import make_plan

    printer = Printer(options)
    request = read_request(options, workloads)
    if dry_run:
        printer.plan(run_within(request.deadline, make_plan(request)))
        return 0
    if detach:
        answer = run_loop(up.up_detached(request, takeover=takeover, report=printer.progress))
        if answer is None:
            return INTERRUPTED
        printer.outcomes(answer)
        return 0
    foreground = up.up_foreground(
        request,
        takeover=takeover,
        report=printer.progress,
        ready=printer.outcomes,
        log=printer.log,
        verbose=options.verbose,
    )
    return int(run_loop(foreground))


@click.command()
@click.argument("workloads", nargs=-1)
@common
@pass_options
def leave(options: Options, workloads: tuple[str, ...]) -> int:
    """Hand the traffic back.  Keep the agent, the container and the volumes for the next `up`."""
    from devcluster.run.commands import down

    printer = Printer(options)
    request = read_request(options, workloads, file_needed=False)
    answer = run_loop(down.leave(request, report=printer.progress))
    if request.project is None and not answer["workloads"]:
        raise missing_file_error(options, workloads)
    printer.outcomes(answer)
    return 0


@click.command()
@click.argument("workloads", nargs=-1)
@click.option("--all", "everywhere", is_flag=True, help="Do so in every namespace that you may read.")
@click.option("-v", "--volumes", is_flag=True, help="Remove private copies with local changes, too.")
@click.option("--takeover", is_flag=True, help="Put back what somebody else holds, too.")
@common
@pass_options
def down(
    options: Options, workloads: tuple[str, ...], everywhere: bool, volumes: bool, takeover: bool
) -> int:
    """Put everything back and verify it; works without the file."""
    from devcluster.run.commands import down

    printer = Printer(options)
    request = read_request(options, workloads, file_needed=False, checked=False)
    result = down.down(
        request, everywhere=everywhere, volumes=volumes, report=printer.progress, takeover=takeover
    )
    printer.outcomes(run_loop(result))
    return 0

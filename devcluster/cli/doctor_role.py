"""``role`` and ``doctor``: what devcluster needs, and whether it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from devcluster.cli.options import Options, common, pass_options
from devcluster.cli.request import read_request
from devcluster.cli.running import run_within
from devcluster.cli.show.printer import Printer
from devcluster.rules.cluster.rights import Subject

if TYPE_CHECKING:
    from devcluster.rules.advice.doctor import Check

_COLORS = {"ok": "green", "warning": "yellow", "bad": "red"}


@click.command()
@click.option("--user", help="Bind the Role to this user, by the name that the cluster knows.")
@click.option("--group", help="Bind the Role to this group.")
@click.option("--service-account", metavar="[NAMESPACE:]NAME", help="Bind the Role to this ServiceAccount.")
@common
@pass_options
def role(options: Options, user: str | None, group: str | None, service_account: str | None) -> int:
    """Print the least Role for a teammate, with a RoleBinding.  Apply it with `kubectl apply -f -`."""
    import yaml

    from devcluster.run.commands.role import role as render

    request = read_request(options, file_needed=False)
    text = run_within(request.deadline, render(request, _subject(user, group, service_account)))
    if options.json:
        Printer(options).document({"apiVersion": "v1", "kind": "List", "items": [*yaml.safe_load_all(text)]})
    else:
        click.echo(text, nl=False)
    return 0


def _subject(user: str | None, group: str | None, account: str | None) -> Subject:
    if sum(one is not None for one in (user, group, account)) > 1:
        raise click.UsageError("use only one of --user, --group and --service-account")
    if group is not None:
        return Subject("Group", group)
    if account is not None:
        namespace, _, name = account.rpartition(":")
        return Subject("ServiceAccount", name, namespace)
    return Subject("User", user or "NAME-OF-A-TEAMMATE")


@click.command()
@common
@pass_options
def doctor(options: Options) -> int:
    """Check Docker, the cluster, rights, lanes and the clock.  Each bad line has a remedy.

    The exit code is 0 if `up` can work, otherwise that of the first bad line: 5 for Docker, 4 for the
    cluster, 2 for a namespace that does not exist.
    """
    from devcluster.run.commands.doctor import examine

    request = read_request(options, file_needed=False)
    checks = run_within(request.deadline, examine(request))
    if options.json:
        Printer(options).document({"checks": [_document(check) for check in checks]})
    else:
        _print(options, checks)
    return next((check.exit_code for check in checks if check.state == "bad"), 0)


def _document(check: Check) -> dict[str, str]:
    return {"subject": check.subject, "state": check.state, "text": check.text, "remedy": check.remedy}


def _print(options: Options, checks: tuple[Check, ...]) -> None:
    width = max(len(check.subject) for check in checks)
    for check in checks:
        state = check.state.ljust(len("warning"))
        shown = click.style(state, fg=_COLORS[check.state])
        click.echo(f"{check.subject.ljust(width)}  {shown}  {check.text}", color=options.color)
        if check.remedy and check.state != "ok":
            click.echo(f"{' ' * width}           {check.remedy}")

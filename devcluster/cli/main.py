"""``devcluster``: parse, call, render.  Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import click

from devcluster import __version__
from devcluster.cli.options import common

_COMMANDS = {
    "up": "devcluster.cli.up_leave_down:up",
    "down": "devcluster.cli.up_leave_down:down",
    "leave": "devcluster.cli.up_leave_down:leave",
    "list": "devcluster.cli.list_plan_env_config:list_",
    "status": "devcluster.cli.status:status",
    "ps": "devcluster.cli.status:status",
    "plan": "devcluster.cli.list_plan_env_config:plan",
    "env": "devcluster.cli.list_plan_env_config:env",
    "config": "devcluster.cli.list_plan_env_config:config",
    "logs": "devcluster.cli.logs_exec_restart:logs",
    "exec": "devcluster.cli.logs_exec_restart:exec_",
    "restart": "devcluster.cli.logs_exec_restart:restart",
    "sync": "devcluster.cli.sync:sync",
    "run": "devcluster.cli.run:run",
    "doctor": "devcluster.cli.doctor_role:doctor",
    "role": "devcluster.cli.doctor_role:role",
    "sandbox": "devcluster.cli.sandbox:sandbox",
    "example": "devcluster.cli.example:example",
}


_LATER = ("completion", "diff", "init")


class Lazy(click.Group):
    """Imports a command's module only when the command is called or its help is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        from importlib import import_module

        module, _, name = _COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if args[0] in _LATER:
                raise click.UsageError(f"{args[0]} is not built yet", ctx) from error
            from difflib import get_close_matches

            near = get_close_matches(args[0], _COMMANDS, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(error.message + hint, ctx) from error


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="devcluster")
@common
def devcluster() -> None:
    """Run a workload of a Kubernetes cluster in a local container, as if it were the pod."""


def main() -> None:
    """The console script's entry; ``cli.ending`` has an ending for each way out."""
    from devcluster.cli.ending import run_to_the_end

    run_to_the_end(devcluster)
